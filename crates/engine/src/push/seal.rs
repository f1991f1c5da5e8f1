//! The `HMAC` of hints: which of the places where a layer was seen were seen with the credentials in use (moby.md
//! §6.3). Such a place is likely to be open to us, any other may belong to somebody who shares the store.

use archive::digest::Sha256;
use model::Digest;
use model::gojson;
use registry::Credential;
use serde_json::json;

use crate::Result;

/// Signs hints with one credential.
#[derive(Debug)]
pub(crate) struct Seal {
    key: String,
}

impl Seal {
    /// The key is the digest of the credential's JSON, as Docker makes it: a hint tells nothing of the credential.
    pub fn of(credential: Option<&Credential>) -> Result<Self> {
        let json = match credential {
            None => json!({}),
            Some(Credential::Basic { user, password }) => {
                json!({"username": user, "password": password.reveal()})
            }
            Some(Credential::IdentityToken(token)) => json!({"identitytoken": token.reveal()}),
            Some(Credential::RegistryToken(token)) => json!({"registrytoken": token.reveal()}),
        };
        Ok(Self { key: Digest::of(&gojson::to_vec(&json)?).to_string() })
    }

    /// The `HMAC` of a hint.
    pub fn sign(&self, digest: &Digest, repository: &str) -> String {
        let message = format!("{digest}{repository}");
        Digest::from(hmac(self.key.as_bytes(), message.as_bytes())).hex()
    }
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut padded = [0; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&Sha256::of(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let hash = |pad: u8, message: &[u8]| {
        let mut sha = Sha256::new();
        sha.update(&padded.map(|byte| byte ^ pad));
        sha.update(message);
        sha.finish()
    };
    hash(0x5c, &hash(0x36, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, cases 2 and 6.
    #[test]
    fn the_hmac_is_the_standards() {
        let hex = |key: &[u8], message: &[u8]| Digest::from(hmac(key, message)).hex();
        assert_eq!(
            hex(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn another_credential_makes_another_seal() {
        let basic = |password: &str| Credential::Basic {
            user: "me".into(),
            password: registry::Secret::new(password),
        };
        let digest = Digest::of(b"layer");
        let sign = |credential: Option<&Credential>| {
            Seal::of(credential).unwrap().sign(&digest, "docker.io/library/x")
        };
        assert_eq!(sign(Some(&basic("a"))), sign(Some(&basic("a"))));
        assert_ne!(sign(Some(&basic("a"))), sign(Some(&basic("b"))));
        assert_ne!(sign(Some(&basic("a"))), sign(None));
    }
}
