//! Registries to speak with.

use testkit::archive::Builder;
use testkit::image::Image;
use testkit::registry::{Auth, Form, Server, Setup};

/// One that wants to know who asks: `user` with the password `secret`.
pub fn locked() -> Server {
    Server::start_with(Setup { auth: Auth::basic("user", "secret"), ..Setup::default() })
}

/// One with `busybox:1` in Docker's form, `busybox:oci` in OCI's, and `busybox:multi`, an index of both.
pub fn with_busybox() -> Server {
    let server = Server::start();
    let layer = Builder::new().dir("bin").file("bin/sh", "#!/sh\n").build();
    let image = Image::new().layer(layer);
    let docker = server.add_image("busybox", "1", &image, Form::Docker);
    let oci = server.add_image("busybox", "oci", &image, Form::Oci);
    server.add_index("busybox", "multi", &[("linux/amd64", docker), ("linux/arm64/v8", oci)]);
    server
}

/// One that gives tokens to `user` with the password `secret`, identity tokens too.
pub fn with_tokens() -> Server {
    Server::start_with(Setup { auth: Auth::bearer("user", "secret"), ..Setup::default() })
}
