//! The `config.json` of a bundle.

use std::collections::HashMap;

use oci_spec::runtime as oci;
use oci_spec::runtime::LinuxNamespaceType as Namespace;

use sys::idmap::Range;

use super::{Device, Network, Seccomp, Spec, mounts, process};
use crate::error::{Error, Result};
use crate::host::{Cgroups, Host};
use crate::seccomp;

/// The version of the specification that we write: what crun 1.0 and runc 1.0 read.
const VERSION: &str = "1.0.2";

impl Spec {
    /// The document that runtimes read, for a container on this machine.
    ///
    /// # Errors
    /// Names that nobody knows: of capabilities, limits, in a seccomp profile.
    pub fn document(&self, host: &Host) -> Result<oci::Spec> {
        // Wherever its user namespace comes from, there is no more to be had in one.
        let confined = Host { user_namespace: true, one_id: false, ..host.clone() };
        let host = if self.ids.is_some() { &confined } else { host };
        let caps = process::capabilities_of(self, host)?;
        let mut root = oci::Root::default();
        root.set_path(self.rootfs.clone()).set_readonly(Some(self.read_only));
        let mut spec = oci::Spec::default();
        spec.set_version(VERSION.to_owned())
            .set_root(Some(root))
            .set_process(Some(self.process.document(&caps, host)?))
            .set_mounts(Some(mounts::all(self, host).iter().map(super::Mount::document).collect()))
            .set_hostname(Some(self.hostname.clone()).filter(|name| !name.is_empty() && !self.shared.uts))
            .set_domainname(Some(self.domainname.clone()).filter(|name| !name.is_empty()))
            .set_annotations(None)
            .set_linux(Some(self.linux(&caps, host)?));
        Ok(spec)
    }

    fn linux(&self, caps: &[String], host: &Host) -> Result<oci::Linux> {
        let sysctls: HashMap<_, _> = self.sysctls.clone().into_iter().collect();
        let mut devices = self.devices.clone();
        if self.privileged && !host.user_namespace {
            let own: Vec<_> = devices.iter().map(|device| device.path.clone()).collect();
            devices.extend(Device::all_of_host().into_iter().filter(|device| !own.contains(&device.path)));
        }
        let mut linux = oci::Linux::default();
        linux
            .set_namespaces(Some(self.namespaces(host)))
            .set_uid_mappings(self.ids.as_ref().map(|ids| mappings(ids.uids())))
            .set_gid_mappings(self.ids.as_ref().map(|ids| mappings(ids.gids())))
            .set_resources(Some(self.resources.document(&self.devices, self.privileged, host)))
            .set_cgroups_path(self.cgroup.clone().filter(|_| host.cgroups != Cgroups::None).map(Into::into))
            .set_devices(Some(devices.iter().map(Device::document).collect()))
            .set_sysctl(Some(sysctls).filter(|sysctls| !sysctls.is_empty()))
            .set_seccomp(self.seccomp(caps)?)
            .set_rootfs_propagation(self.propagation.clone())
            .set_mount_label(Some(self.mount_label.clone()).filter(|label| !label.is_empty()))
            .set_masked_paths(Some(self.unless_privileged(&self.masked_paths)))
            .set_readonly_paths(Some(self.unless_privileged(&self.read_only_paths)));
        Ok(linux)
    }

    fn unless_privileged(&self, paths: &[String]) -> Vec<String> {
        if self.privileged { Vec::new() } else { paths.to_vec() }
    }

    fn namespaces(&self, host: &Host) -> Vec<oci::LinuxNamespace> {
        let shared = self.shared;
        // Of trees of v1 a namespace shows nothing that the mounts do not.
        let own_cgroups = !shared.cgroup && host.cgroups == Cgroups::V2;
        let wanted = [
            (Namespace::Mount, true),
            (Namespace::Pid, !shared.pid),
            (Namespace::Ipc, !shared.ipc),
            (Namespace::Uts, !shared.uts),
            (Namespace::Network, self.network == Network::None),
            (Namespace::Cgroup, own_cgroups),
            (Namespace::User, self.ids.is_some()),
        ];
        let namespace = |kind| {
            let mut namespace = oci::LinuxNamespace::default();
            namespace.set_typ(kind);
            namespace
        };
        wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| namespace(kind)).collect()
    }

    fn seccomp(&self, caps: &[String]) -> Result<Option<oci::LinuxSeccomp>> {
        match &self.seccomp {
            _ if self.privileged => Ok(None),
            Seccomp::Unconfined => Ok(None),
            Seccomp::Default => Ok(Some(seccomp::default_filter(caps))),
            Seccomp::Profile(text) => seccomp::read_profile(text, caps).map(Some),
        }
    }
}

fn mappings(ranges: &[Range]) -> Vec<oci::LinuxIdMapping> {
    let mapping = |range: &Range| {
        let mapping = oci::LinuxIdMappingBuilder::default();
        mapping.container_id(range.inside).host_id(range.outside).size(range.count).build()
    };
    // All three are given, so none is missing.
    ranges.iter().filter_map(|range| mapping(range).ok()).collect()
}

/// The bytes of a document.
pub(crate) fn to_json(what: &'static str, document: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|source| Error::Json { what, source })
}
