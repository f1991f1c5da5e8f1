//! `certs.d`: what a server's certificate may be signed by besides the system's roots, and who we are for it.
//!
//! As Docker reads it: `*.crt` are roots, `*.cert` with the `*.key` of the same name is a client certificate. Of several
//! client certificates the first by name is used.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, parse_pem};

use crate::{Error, Result};

/// What the directories have for one server.
#[derive(Default)]
pub(crate) struct Certificates {
    pub roots: Vec<Certificate<'static>>,
    pub client: Option<ClientCert>,
}

/// Whether one of `dirs` has a directory for `server`.
pub(crate) fn exist(dirs: &[PathBuf], server: &str) -> bool {
    dirs.iter().any(|dir| dir.join(server).is_dir())
}

/// Reads what `dirs` have for `server` (`host[:port]`, which [`Url`](crate::url::Url) made sure is one name).
///
/// # Errors
/// [`Error::Setting`] for files that cannot be read or are not what their names say.
pub(crate) fn read(dirs: &[PathBuf], server: &str, provider: &CryptoProvider) -> Result<Certificates> {
    let mut found = Certificates::default();
    for dir in dirs {
        let dir = dir.join(server);
        for path in files(&dir)? {
            match path.extension().and_then(OsStr::to_str) {
                Some("crt") => found.roots.append(&mut certificates(&path)?),
                Some("cert") => {
                    let key = path.with_extension("key");
                    if !key.exists() {
                        let reason = "its key is missing; certificates of authorities are to be named .crt";
                        return Err(Error::setting(format!("client certificate {}", path.display()), reason));
                    }
                    let client = client(&path, &key, provider)?;
                    found.client.get_or_insert(client);
                }
                Some("key") if !path.with_extension("cert").exists() => {
                    return Err(Error::setting(
                        format!("key {}", path.display()),
                        "its certificate (.cert) is missing",
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The files in `dir`, by name; none if there is no such directory.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::setting(format!("certificates in {}", dir.display()), e);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    files.sort();
    Ok(files)
}

fn items(path: &Path) -> Result<Vec<PemItem<'static>>> {
    let what = || format!("certificate file {}", path.display());
    let pem = fs::read(path).map_err(|e| Error::setting(what(), e))?;
    let items = parse_pem(&pem).collect::<Result<Vec<_>, _>>().map_err(|e| Error::setting(what(), e))?;
    if items.is_empty() { Err(Error::setting(what(), "nothing in it in PEM format")) } else { Ok(items) }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let certificates = items(path)?.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    Ok(certificates.collect())
}

/// The client certificate of `path` and `key`, which have to belong together.
fn client(path: &Path, key: &Path, provider: &CryptoProvider) -> Result<ClientCert> {
    let chain = certificates(path)?;
    let key_item = items(key)?.into_iter().find_map(|item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    let failed = |reason: String| Error::setting(format!("client certificate {}", path.display()), reason);
    let key_item: PrivateKey<'static> =
        key_item.ok_or_else(|| failed(format!("no key in {}", key.display())))?;
    let ders = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let der = PrivateKeyDer::try_from(key_item.der()).map_err(|e| failed(e.to_owned()))?.clone_key();
    if chain.is_empty() {
        return Err(failed("no certificate in it".to_owned()));
    }
    CertifiedKey::from_der(ders, der, provider).map_err(|e| failed(e.to_string()))?;
    Ok(ClientCert::new_with_certs(&chain, key_item))
}
