//! Profiles in Docker's format, as `--security-opt seccomp=FILE` gives them: the OCI format, with rules that count on
//! some architectures and with some capabilities only.

use oci_spec::runtime as oci;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// Reads a profile for a container with these capabilities.
///
/// # Errors
/// [`Error::Invalid`] if it is no profile.
pub fn read_profile(text: &str, capabilities: &[String]) -> Result<oci::LinuxSeccomp> {
    let refused = |e: serde_json::Error| Error::invalid(format!("Decoding seccomp profile failed: {e}"));
    let profile: Profile = serde_json::from_str(text).map_err(refused)?;
    let mut document = profile.rest;
    let mut rules = Vec::new();
    for rule in profile.syscalls {
        if !rule.includes.all_hold(capabilities) || rule.excludes.any_holds(capabilities) {
            continue;
        }
        let mut rest = rule.rest;
        if let Some(name) = rest.remove("name") {
            rest.insert("names".to_owned(), Value::Array(vec![name]));
        }
        rest.retain(|_, value| !value.is_null());
        rules.push(Value::Object(rest));
    }
    document.insert("syscalls".to_owned(), Value::Array(rules));
    document.retain(|_, value| !value.is_null());
    if let Some(map) = document.remove("archMap") {
        document.insert("architectures".to_owned(), native(&map));
    }
    let mut filter: oci::LinuxSeccomp = serde_json::from_value(Value::Object(document)).map_err(refused)?;
    if filter.architectures().is_none() {
        filter.set_architectures(Some(super::architectures()));
    }
    Ok(filter)
}

#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    syscalls: Vec<Rule>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
    #[serde(rename = "minKernel")]
    min_kernel: Option<String>,
}

impl Condition {
    fn all_hold(&self, capabilities: &[String]) -> bool {
        self.caps.iter().all(|cap| capabilities.contains(cap))
            && (self.arches.is_empty() || self.names_this_machine())
            && self.min_kernel.as_deref().is_none_or(is_reached)
    }

    fn any_holds(&self, capabilities: &[String]) -> bool {
        self.caps.iter().any(|cap| capabilities.contains(cap))
            || self.names_this_machine()
            || self.min_kernel.as_deref().is_some_and(is_reached)
    }

    fn names_this_machine(&self) -> bool {
        let go = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            other => other,
        };
        self.arches.iter().any(|arch| arch == go)
    }
}

/// Whether the kernel is at least of this version, `4.8`.
fn is_reached(version: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> {
        let digits = text.split(['.', '-', '+']).map_while(|part| part.parse().ok());
        digits.take(2).collect()
    };
    numbers(&sys::process::kernel_release()) >= numbers(version)
}

/// The architectures of the entry for this machine.
fn native(map: &Value) -> Value {
    let own = super::architectures().first().and_then(|arch| serde_json::to_value(arch).ok());
    let mut entries = map.as_array().into_iter().flatten();
    let entry = entries.find(|entry| entry.get("architecture") == own.as_ref());
    let more = entry.and_then(|entry| entry.get("subArchitectures")).and_then(Value::as_array);
    Value::Array(own.into_iter().chain(more.into_iter().flatten().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_where_their_conditions_hold() {
        let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {}, "excludes": {}},
            {"name": "mount", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["never"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "999.0"}},
            {"names": ["never"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["pdp11"]}}]}"#;
        let names = |caps: &[String]| -> Vec<String> {
            let filter = read_profile(text, caps).unwrap();
            filter.syscalls().iter().flatten().flat_map(|rule| rule.names().clone()).collect()
        };
        assert_eq!(names(&[]), ["read", "clone3", "ptrace"]);
        assert_eq!(names(&["CAP_SYS_ADMIN".into()]), ["read", "mount", "ptrace"]);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        for bad in ["", "[]", "{}", r#"{"defaultAction": "ALLOW"}"#] {
            let refused = read_profile(bad, &[]).unwrap_err().to_string();
            assert!(refused.starts_with("Decoding seccomp profile failed: "), "{refused}");
        }
    }
}
