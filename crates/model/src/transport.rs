//! Where `pull` gets images from and `push` brings them to: a registry, or one of four kinds of files, in the words of
//! containers-transports(5).
//!
//! A word before the first colon that is the name of a transport is that: the repository `oci` of the default registry
//! has to be spelled out, `docker.io/library/oci:1.0`.

use std::path::PathBuf;

use crate::{Error, Reference, Result};

/// A source or destination of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A name in a registry: `alpine:3`, or `docker://alpine:3`.
    Registry(Reference),
    /// `oci:DIR[:NAME]`: an OCI image layout.
    OciLayout {
        /// The directory.
        path: PathBuf,
        /// Which of its images: the annotation `org.opencontainers.image.ref.name`.
        image: Option<String>,
    },
    /// `oci-archive:FILE[:NAME]`: an OCI image layout in a tar archive.
    OciArchive {
        /// The archive.
        path: PathBuf,
        /// As for [`Transport::OciLayout`].
        image: Option<String>,
    },
    /// `docker-archive:FILE[:NAME]`: what `docker save` writes.
    DockerArchive {
        /// The archive.
        path: PathBuf,
        /// Which of its images: one of its names with tags.
        image: Option<Reference>,
    },
    /// `dir:DIR`: one image, its manifest and blobs as files of a directory (skopeo).
    Dir {
        /// The directory.
        path: PathBuf,
    },
}

impl Transport {
    /// Reads what a user gives `pull` and `push`.
    ///
    /// # Errors
    /// Those of [`Reference::parse`]; [`Error::ReferenceFormat`] also for a transport without a path.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((kind, rest)) = text.split_once(':') else { return Self::registry(text) };
        let path_and_image = || match rest.split_once(':') {
            Some((path, image)) => (path, Some(image).filter(|image| !image.is_empty())),
            None => (rest, None),
        };
        let path = |path: &str| if path.is_empty() { Err(Error::ReferenceFormat) } else { Ok(path.into()) };
        match kind {
            "docker" if rest.starts_with("//") => Self::registry(&rest[2..]),
            "oci" => {
                let (at, image) = path_and_image();
                Ok(Self::OciLayout { path: path(at)?, image: image.map(str::to_owned) })
            }
            "oci-archive" => {
                let (at, image) = path_and_image();
                Ok(Self::OciArchive { path: path(at)?, image: image.map(str::to_owned) })
            }
            "docker-archive" => {
                let (at, image) = path_and_image();
                let image = image.map(|image| Ok(Reference::parse(image)?.with_default_tag())).transpose()?;
                Ok(Self::DockerArchive { path: path(at)?, image })
            }
            "dir" => Ok(Self::Dir { path: path(rest)? }),
            _ => Self::registry(text),
        }
    }

    fn registry(text: &str) -> Result<Self> {
        Reference::parse(text).map(Self::Registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Transport {
        Transport::parse(text).unwrap()
    }

    #[test]
    fn transports_are_told_from_names() {
        let name = |text: &str| Reference::parse(text).unwrap();
        for (text, reference) in [
            ("alpine", "alpine"),
            ("localhost:5000/oci:1", "localhost:5000/oci:1"),
            ("docker://alpine:3", "alpine:3"),
            ("docker:24", "docker:24"),
            ("docker.io/library/oci:1", "oci:1"),
        ] {
            assert_eq!(parse(text), Transport::Registry(name(reference)), "{text}");
        }
        let image = || Some("acme/x:1".to_owned());
        assert_eq!(parse("oci:/a/b:acme/x:1"), Transport::OciLayout { path: "/a/b".into(), image: image() });
        assert_eq!(parse("oci:b"), Transport::OciLayout { path: "b".into(), image: None });
        assert_eq!(parse("oci:b:"), Transport::OciLayout { path: "b".into(), image: None });
        assert_eq!(
            parse("oci-archive:x.tar:acme/x:1"),
            Transport::OciArchive { path: "x.tar".into(), image: image() }
        );
        assert_eq!(
            parse("docker-archive:x.tar:acme/x"),
            Transport::DockerArchive { path: "x.tar".into(), image: Some(name("acme/x:latest")) }
        );
        assert_eq!(parse("dir:a:b"), Transport::Dir { path: "a:b".into() });
    }

    #[test]
    fn a_transport_needs_a_path() {
        for text in
            ["oci:", "oci::x", "dir:", "docker-archive:", "oci-archive::x", "docker://", "docker-archive:x:-"]
        {
            assert!(Transport::parse(text).is_err(), "{text}");
        }
    }
}
