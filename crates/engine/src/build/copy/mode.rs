//! `--chmod`: octal, or symbolic as for chmod(1).

use crate::{Error, Result};

/// A change of permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// These bits.
    Octal(u32),
    /// One after the other.
    Symbolic(Vec<Clause>),
}

/// `u+rwX` and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    /// Which of owner, group and others, as bits 4, 2, 1.
    who: u32,
    operator: char,
    permissions: String,
}

impl Mode {
    /// Reads the flag.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || {
            Error::invalid(format!(
                "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
            ))
        };
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777);
            return bits.map(Self::Octal).ok_or_else(invalid);
        }
        let clauses = text.split(',').map(|clause| Clause::parse(clause).ok_or_else(invalid));
        Ok(Self::Symbolic(clauses.collect::<Result<_>>()?))
    }

    /// The bits that a file gets.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match self {
            Self::Octal(bits) => *bits,
            Self::Symbolic(clauses) => clauses.iter().fold(mode, |mode, clause| clause.apply(mode, is_dir)),
        }
    }
}

impl Clause {
    fn parse(text: &str) -> Option<Self> {
        let at = text.find(['+', '-', '='])?;
        let (who, rest) = text.split_at(at);
        let mut bits = 0;
        for c in who.chars() {
            bits |= match c {
                'u' => 4,
                'g' => 2,
                'o' => 1,
                'a' => 7,
                _ => return None,
            };
        }
        let operator = rest.chars().next()?;
        let permissions = rest[1..].to_owned();
        let known = permissions.chars().all(|c| "rwxXstugo".contains(c));
        known.then_some(Self { who: if bits == 0 { 7 } else { bits }, operator, permissions })
    }

    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let mut bits = 0;
        for c in self.permissions.chars() {
            let triple = |bits: u32| bits << 6 | bits << 3 | bits;
            bits |= match c {
                'r' => triple(4),
                'w' => triple(2),
                'x' => triple(1),
                'X' if is_dir || mode & 0o111 != 0 => triple(1),
                's' => {
                    (if self.who & 4 != 0 { 0o4000 } else { 0 })
                        | (if self.who & 2 != 0 { 0o2000 } else { 0 })
                }
                't' => 0o1000,
                'u' => triple(mode >> 6 & 7),
                'g' => triple(mode >> 3 & 7),
                'o' => triple(mode & 7),
                _ => 0,
            };
        }
        let each = [(4, 0o700), (2, 0o070), (1, 0o007)];
        let mask: u32 = each.iter().filter(|(who, _)| self.who & who != 0).map(|(_, mask)| mask).sum();
        let special = bits & 0o7000;
        let bits = bits & mask;
        match self.operator {
            '+' => mode | bits | special,
            '-' => mode & !bits & !special,
            _ => mode & !mask | bits | special,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_is_taken_as_it_is() {
        assert_eq!(Mode::parse("0755").unwrap().apply(0o644, false), 0o755);
        assert_eq!(Mode::parse("4711").unwrap().apply(0o644, true), 0o4711);
        for bad in ["9", "10000", "0x1", "", "u", "u+q", "rwx"] {
            assert!(Mode::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn symbolic_changes_what_is_there() {
        for (text, before, is_dir, after) in [
            ("u=rwX,go=rX", 0o640, false, 0o644),
            ("u=rwX,go=rX", 0o640, true, 0o755),
            ("u=rwX,go=rX", 0o750, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("g=u", 0o640, false, 0o660),
            ("u+s", 0o755, false, 0o4755),
            ("+t", 0o777, true, 0o1777),
        ] {
            assert_eq!(Mode::parse(text).unwrap().apply(before, is_dir), after, "{text}");
        }
    }
}
