//! The keys that let go of a container.

use std::str::FromStr;

/// A sequence of keys: `ctrl-p,ctrl-q`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    /// Docker's.
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

impl FromStr for DetachKeys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = |word: &str| -> Option<u8> {
            let lower = word.to_ascii_lowercase();
            match lower.strip_prefix("ctrl-").map(str::as_bytes) {
                Some(&[letter @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]) => {
                    Some(letter & 0x1f)
                }
                Some(_) => None,
                None => match word.as_bytes() {
                    &[byte] => Some(byte),
                    _ => None,
                },
            }
        };
        let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self).ok_or_else(|| {
            format!("invalid detach keys ({text}): a sequence of keys is needed, such as ctrl-p,ctrl-q")
        })
    }
}

/// Looks for the sequence in what is typed.
#[derive(Debug)]
pub(super) struct Keys {
    wanted: Vec<u8>,
    /// How many of them were typed; they are held back until it is clear that they are not meant.
    typed: usize,
}

impl Keys {
    pub(super) fn new(keys: &DetachKeys) -> Self {
        Self { wanted: keys.0.clone(), typed: 0 }
    }

    /// What of these bytes the container gets, and whether the sequence was typed.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut through = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.wanted[self.typed] == byte {
                self.typed += 1;
                if self.typed == self.wanted.len() {
                    return (through, true);
                }
                continue;
            }
            through.extend_from_slice(&self.wanted[..self.typed]);
            self.typed = 0;
            if self.wanted[0] == byte && self.wanted.len() > 1 {
                self.typed = 1;
            } else {
                through.push(byte);
            }
        }
        (through, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_lets_go_and_half_of_it_is_typed_text() {
        let mut keys = Keys::new(&DetachKeys::default());
        assert_eq!(keys.take(b"ls\x10"), (b"ls".to_vec(), false));
        assert_eq!(keys.take(b"x\x10\x10"), (b"\x10x\x10".to_vec(), false));
        assert_eq!(keys.take(b"\x11more"), (Vec::new(), true));
    }

    #[test]
    fn sequences_are_read() {
        assert_eq!("ctrl-p,ctrl-q".parse(), Ok(DetachKeys::default()));
        assert_eq!("ctrl-x,q".parse(), Ok(DetachKeys(vec![0x18, b'q'])));
        for bad in ["", "ctrl-", "ab", "ctrl-1", ","] {
            assert!(bad.parse::<DetachKeys>().is_err(), "{bad}");
        }
    }
}
