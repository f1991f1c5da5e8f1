//! Values of flags: sizes, processors, devices, limits.

use std::str::FromStr;

use model::config::{Device, Ulimit};

/// `64m`, `1g`, `100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub i64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = model::size::parse_binary(text).map_err(|e| e.to_string())?;
        i64::try_from(bytes).map(Self).map_err(|_| format!("invalid size: '{text}'"))
    }
}

/// The same, or -1 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwapBytes(pub i64);

impl FromStr for SwapBytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-1" { Ok(Self(-1)) } else { text.parse().map(|Bytes(bytes)| Self(bytes)) }
    }
}

/// Billionths of a processor: `1.5`, `0.25`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpus(pub i64);

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const DIGITS: usize = 9;
        let invalid = || format!("failed to parse {text} as a rational number");
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let part = part.trim_end_matches('0');
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
            return Err(invalid());
        }
        if part.len() > DIGITS {
            return Err("value is too precise".to_owned());
        }
        format!("{whole}{part:0<DIGITS$}").parse().map(Self).map_err(|_| invalid())
    }
}

/// `/dev/x[:/dev/y][:rwm]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSpec(pub Device);

impl FromStr for DeviceSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_mode = |word: &str| !word.is_empty() && word.bytes().all(|b| b"rwm".contains(&b));
        let parts: Vec<&str> = text.split(':').collect();
        let (host, inside, mode) = match parts[..] {
            [host] => (host, host, "rwm"),
            [host, mode] if is_mode(mode) => (host, host, mode),
            [host, inside] => (host, inside, "rwm"),
            [host, inside, mode] if is_mode(mode) => (host, inside, mode),
            [_, _, mode] => return Err(format!("bad mode specified: {mode}")),
            _ => return Err(format!("bad format for path: {text}")),
        };
        for path in [host, inside] {
            if !path.starts_with('/') {
                return Err(format!("{path} is not an absolute path"));
            }
        }
        let [path_on_host, path_in_container, cgroup_permissions] = [host, inside, mode].map(str::to_owned);
        Ok(Self(Device { path_on_host, path_in_container, cgroup_permissions }))
    }
}

/// `nofile=1024:2048`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UlimitSpec(pub Ulimit);

/// The limits of setrlimit(2).
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl FromStr for UlimitSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) =
            text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
        if !ULIMITS.contains(&name) {
            return Err(format!("invalid ulimit type: {name}"));
        }
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let number = |text: &str| match text {
            "unlimited" => Ok(-1),
            text => text.parse::<i64>().map_err(|_| format!("invalid ulimit value: {text}")),
        };
        let (soft, hard) = (number(soft)?, number(hard)?);
        if hard != -1 && (soft == -1 || soft > hard) {
            return Err(format!(
                "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            ));
        }
        Ok(Self(Ulimit { name: name.to_owned(), hard, soft }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_decimals() {
        let cpus = |text: &str| text.parse::<Cpus>().map(|cpus| cpus.0);
        assert_eq!(cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(cpus(".25"), Ok(250_000_000));
        assert_eq!(cpus("2"), Ok(2_000_000_000));
        assert_eq!(cpus("0.0000000001").unwrap_err(), "value is too precise");
        for bad in ["", ".", "x", "-1", "1.5.2"] {
            assert_eq!(cpus(bad).unwrap_err(), format!("failed to parse {bad} as a rational number"));
        }
    }

    #[test]
    fn devices_have_two_paths_and_rights() {
        let device = |text: &str| {
            text.parse::<DeviceSpec>().map(|DeviceSpec(d)| {
                format!("{} {} {}", d.path_on_host, d.path_in_container, d.cgroup_permissions)
            })
        };
        assert_eq!(device("/dev/a").unwrap(), "/dev/a /dev/a rwm");
        assert_eq!(device("/dev/a:r").unwrap(), "/dev/a /dev/a r");
        assert_eq!(device("/dev/a:/dev/b").unwrap(), "/dev/a /dev/b rwm");
        assert_eq!(device("/dev/a:/dev/b:rw").unwrap(), "/dev/a /dev/b rw");
        assert_eq!(device("/dev/a:/dev/b:x").unwrap_err(), "bad mode specified: x");
        assert_eq!(device("a").unwrap_err(), "a is not an absolute path");
    }

    #[test]
    fn limits_have_a_name_and_two_numbers() {
        let limit = |text: &str| text.parse::<UlimitSpec>().map(|UlimitSpec(l)| (l.soft, l.hard));
        assert_eq!(limit("nofile=10:20"), Ok((10, 20)));
        assert_eq!(limit("core=unlimited"), Ok((-1, -1)));
        assert_eq!(limit("bogus=1").unwrap_err(), "invalid ulimit type: bogus");
        assert!(limit("nofile=20:10").is_err());
        assert!(limit("nofile").is_err());
    }

    #[test]
    fn swap_may_be_unlimited() {
        assert_eq!("-1".parse(), Ok(SwapBytes(-1)));
        assert_eq!("1m".parse(), Ok(SwapBytes(1 << 20)));
        assert!("-2".parse::<SwapBytes>().is_err());
    }
}
