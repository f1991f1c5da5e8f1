//! Limits of a container, which become those of its control group.

use oci_spec::runtime as oci;

use super::Device;
use crate::host::Host;

/// Limits; what is absent is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<i64>,
    /// Bytes of memory and swap space together, -1 for as much swap as there is; twice the memory if absent.
    pub memory_swap: Option<i64>,
    /// Bytes of memory that it is pushed back to when memory is scarce.
    pub memory_reservation: Option<i64>,
    /// How eagerly its memory is swapped, 0 to 100.
    pub swappiness: Option<u64>,
    /// Whether the kernel may not kill its processes for want of memory.
    pub disable_oom_killer: bool,
    /// Processors, in billionths.
    pub nano_cpus: Option<i64>,
    /// Weight among others that want the processors; 1024 is usual.
    pub cpu_shares: Option<u64>,
    /// Microseconds of processor time in each period.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Which processors: `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// Which memory nodes.
    pub cpuset_mems: Option<String>,
    /// How many processes and threads.
    pub pids: Option<i64>,
    /// Weight among others that want the disk, 10 to 1000.
    pub blkio_weight: Option<u16>,
}

/// The period that `nano_cpus` is divided by, in microseconds: the kernel's usual one.
const CPU_PERIOD: u64 = 100_000;

impl Resources {
    /// Whether any limit is asked for.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }

    pub(super) fn document(&self, devices: &[Device], privileged: bool, host: &Host) -> oci::LinuxResources {
        let mut resources = oci::LinuxResources::default();
        if host.user_namespace {
            // What device nodes there are was given to the user before us.
            return resources;
        }
        resources.set_devices(Some(super::devices::rules(devices, privileged)));
        if !host.limits {
            return resources;
        }
        resources.set_memory(self.memory(host)).set_cpu(self.cpu());
        if let Some(limit) = self.pids {
            let mut pids = oci::LinuxPids::default();
            pids.set_limit(limit);
            resources.set_pids(Some(pids));
        }
        if let Some(weight) = self.blkio_weight {
            let mut io = oci::LinuxBlockIo::default();
            io.set_weight(Some(weight));
            resources.set_block_io(Some(io));
        }
        resources
    }

    fn memory(&self, host: &Host) -> Option<oci::LinuxMemory> {
        let swap = match (self.memory, self.memory_swap) {
            (Some(memory), None) => Some(memory.saturating_mul(2)),
            (_, swap) => swap,
        };
        let mut memory = oci::LinuxMemory::default();
        memory
            .set_limit(self.memory)
            .set_reservation(self.memory_reservation)
            .set_swap(swap.filter(|_| host.swap_limit))
            .set_swappiness(self.swappiness)
            .set_disable_oom_killer(self.disable_oom_killer.then_some(true));
        (memory != oci::LinuxMemory::default()).then_some(memory)
    }

    fn cpu(&self) -> Option<oci::LinuxCpu> {
        let of_nanos = self.nano_cpus.map(|nanos| {
            let period = i64::try_from(CPU_PERIOD).unwrap_or(i64::MAX);
            nanos.saturating_mul(period) / 1_000_000_000
        });
        let mut cpu = oci::LinuxCpu::default();
        cpu.set_shares(self.cpu_shares)
            .set_quota(of_nanos.or(self.cpu_quota))
            .set_period(of_nanos.map(|_| CPU_PERIOD).or(self.cpu_period))
            .set_cpus(self.cpuset_cpus.clone())
            .set_mems(self.cpuset_mems.clone());
        (cpu != oci::LinuxCpu::default()).then_some(cpu)
    }
}
