//! A certificate authority of a test's own, made with openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::witness::skip;

/// Its files.
#[derive(Debug)]
pub struct Authority {
    dir: TempDir,
}

impl Authority {
    /// Makes one for the test `name`, or says that the machine cannot.
    pub fn new(name: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip(name, "no openssl");
            return None;
        }
        let authority = Self { dir: TempDir::with_prefix("layercake-ca-").unwrap() };
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=Authority of a test",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
        ]);
        Some(authority)
    }

    /// Its own certificate, by which clients know its others.
    pub fn certificate(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// Certificate and key of a server at an IP address.
    pub fn server(&self, ip: &str) -> (PathBuf, PathBuf) {
        self.issue("server", &format!("subjectAltName=IP:{ip}\nextendedKeyUsage=serverAuth\n"))
    }

    /// A directory as `certs.d` has them: the authority's certificate, and a client's with its key if it is to have one.
    pub fn certs_d(&self, client: bool) -> PathBuf {
        let dir = self.path(if client { "with-client" } else { "without-client" });
        fs::create_dir_all(&dir).unwrap();
        fs::copy(self.certificate(), dir.join("ca.crt")).unwrap();
        if client {
            let (certificate, key) = self.issue("client", "extendedKeyUsage=clientAuth\n");
            fs::copy(certificate, dir.join("client.cert")).unwrap();
            fs::copy(key, dir.join("client.key")).unwrap();
        }
        dir
    }

    fn issue(&self, name: &str, extensions: &str) -> (PathBuf, PathBuf) {
        let [request, key, certificate, file] =
            ["csr", "key", "crt", "ext"].map(|kind| format!("{name}.{kind}"));
        fs::write(self.path(&file), extensions).unwrap();
        let subject = format!("/CN={name} of a test");
        let curve = "ec_paramgen_curve:P-256";
        self.openssl(&[
            "req", "-new", "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-subj", &subject, "-keyout", &key,
            "-out", &request,
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            &file,
            "-out",
            &certificate,
        ]);
        (self.path(&certificate), self.path(&key))
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl").args(args).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }
}
