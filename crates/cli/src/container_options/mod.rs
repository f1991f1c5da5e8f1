//! The words for a container: the flags that `create` and `run` have in common, and the container that they ask for.
//!
//! | file | subject |
//! | --- | --- |
//! | this one | the flags |
//! | `process` | what runs: environment, labels, what is attached |
//! | `host` | what the host gives: limits, devices, privileges, network |
//! | `image` | the image, pulled if it is not there |
//! | `values` | values of flags: sizes, processors, limits |

mod host;
mod image;
mod process;
mod values;

use std::path::PathBuf;

use engine::create::CreateOptions;
use model::mount::Mount;
use model::{Platform, Reference};

use crate::options::KeyValue;
use crate::output::failure::Failure;
use image::Pull;
pub use process::{environment, variable};
use values::{Bytes, Cpus, DeviceSpec, SwapBytes, UlimitSpec};

/// What `create` and `run` are told about a container.
#[derive(Debug, clap::Args)]
pub struct ContainerOptions {
    /// Attach to STDIN, STDOUT or STDERR
    #[arg(short, long, value_name = "list", value_parser = process::stream)]
    attach: Vec<String>,
    /// Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)
    #[arg(long, value_name = "uint16", default_value_t = 0, hide_default_value = true)]
    blkio_weight: u16,
    /// Add Linux capabilities
    #[arg(long, value_name = "list")]
    cap_add: Vec<String>,
    /// Drop Linux capabilities
    #[arg(long, value_name = "list")]
    cap_drop: Vec<String>,
    /// Cgroup namespace to use (host|private)
    #[arg(long, value_name = "string", default_value = "")]
    cgroupns: String,
    /// Limit CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int", default_value_t = 0)]
    cpu_period: i64,
    /// Limit CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int", default_value_t = 0)]
    cpu_quota: i64,
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "int", default_value_t = 0)]
    cpu_shares: i64,
    /// Number of CPUs
    #[arg(long, value_name = "decimal")]
    cpus: Option<Cpus>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string", default_value = "")]
    cpuset_cpus: String,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string", default_value = "")]
    cpuset_mems: String,
    /// Add a host device to the container
    #[arg(long, value_name = "list")]
    device: Vec<DeviceSpec>,
    /// Container NIS domain name
    #[arg(long, value_name = "string", default_value = "")]
    domainname: String,
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long, value_name = "string")]
    entrypoint: Option<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "list", value_parser = process::variable)]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    env_file: Vec<PathBuf>,
    /// Expose a port or a range of ports
    #[arg(long, value_name = "list")]
    expose: Vec<String>,
    /// Add additional groups to join
    #[arg(long, value_name = "list")]
    group_add: Vec<String>,
    /// Print usage
    #[arg(long, action = clap::ArgAction::Help)]
    help: (),
    /// Container host name
    #[arg(short = 'h', long, value_name = "string", default_value = "")]
    hostname: String,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// IPC mode to use
    #[arg(long, value_name = "string", default_value = "")]
    ipc: String,
    /// Set meta data on a container
    #[arg(short, long, value_name = "list")]
    label: Vec<String>,
    /// Read in a line delimited file of labels
    #[arg(long, value_name = "list")]
    label_file: Vec<PathBuf>,
    /// Logging driver for the container
    #[arg(long, value_name = "string", default_value = "")]
    log_driver: String,
    /// Log driver options
    #[arg(long, value_name = "list")]
    log_opt: Vec<KeyValue>,
    /// Memory limit
    #[arg(short, long, value_name = "bytes")]
    memory: Option<Bytes>,
    /// Memory soft limit
    #[arg(long, value_name = "bytes")]
    memory_reservation: Option<Bytes>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "bytes")]
    memory_swap: Option<SwapBytes>,
    /// Tune container memory swappiness (0 to 100)
    #[arg(long, value_name = "int", default_value_t = -1)]
    memory_swappiness: i64,
    /// Attach a filesystem mount to the container
    #[arg(long, value_name = "mount")]
    mount: Vec<Mount>,
    /// Assign a name to the container
    #[arg(long, value_name = "string")]
    name: Option<String>,
    /// Connect a container to a network (host|none)
    #[arg(long, alias = "net", value_name = "network")]
    network: Vec<String>,
    /// Disable OOM Killer
    #[arg(long)]
    oom_kill_disable: bool,
    /// Tune host's OOM preferences (-1000 to 1000)
    #[arg(long, value_name = "int", default_value_t = 0)]
    oom_score_adj: i64,
    /// PID namespace to use
    #[arg(long, value_name = "string", default_value = "")]
    pid: String,
    /// Tune container pids limit (set -1 for unlimited)
    #[arg(long, value_name = "int", default_value_t = 0)]
    pids_limit: i64,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string", value_parser = Platform::parse)]
    platform: Option<Platform>,
    /// Give extended privileges to this container
    #[arg(long)]
    privileged: bool,
    /// Publish a container's port(s) to the host (not here)
    #[arg(short, long, value_name = "list", hide = true)]
    publish: Vec<String>,
    /// Publish all exposed ports to random ports (not here)
    #[arg(short = 'P', long, hide = true)]
    publish_all: bool,
    /// Pull image before creating ("always", "missing", "never")
    #[arg(long, value_name = "string", default_value = "missing", hide_possible_values = true)]
    pull: Pull,
    /// Suppress the pull output
    #[arg(short, long)]
    quiet: bool,
    /// Mount the container's root filesystem as read only
    #[arg(long)]
    read_only: bool,
    /// Restart policy to apply when a container exits (only "no")
    #[arg(long, value_name = "string", default_value = "no")]
    restart: String,
    /// Automatically remove the container and its associated anonymous volumes when it exits
    #[arg(long)]
    rm: bool,
    /// Runtime to use for this container
    #[arg(long, value_name = "string", default_value = "")]
    runtime: String,
    /// Security Options
    #[arg(long, value_name = "list")]
    security_opt: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "bytes")]
    shm_size: Option<Bytes>,
    /// Signal to stop the container
    #[arg(long, value_name = "string", default_value = "")]
    stop_signal: String,
    /// Timeout (in seconds) to stop a container
    #[arg(long, value_name = "int")]
    stop_timeout: Option<i64>,
    /// Storage driver options for the container
    #[arg(long = "storage-opt", id = "container-storage-opt", value_name = "list")]
    container_storage_opts: Vec<KeyValue>,
    /// Sysctl options
    #[arg(long, value_name = "map")]
    sysctl: Vec<KeyValue>,
    /// Mount a tmpfs directory
    #[arg(long, value_name = "list")]
    tmpfs: Vec<String>,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Ulimit options
    #[arg(long, value_name = "ulimit")]
    ulimit: Vec<UlimitSpec>,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "string", default_value = "")]
    user: String,
    /// User namespace to use
    #[arg(long, value_name = "string", default_value = "")]
    userns: String,
    /// UTS namespace to use
    #[arg(long, value_name = "string", default_value = "")]
    uts: String,
    /// Bind mount a volume
    #[arg(short, long, value_name = "list")]
    volume: Vec<String>,
    /// Optional volume driver for the container
    #[arg(long, value_name = "string", default_value = "")]
    volume_driver: String,
    /// Mount volumes from the specified container(s)
    #[arg(long, value_name = "list")]
    volumes_from: Vec<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string", default_value = "")]
    workdir: String,
}

impl ContainerOptions {
    /// The container that the flags and `words`, image and command, ask for.
    ///
    /// # Errors
    /// A file cannot be read; something that there is not here; Docker's messages for values that make no sense.
    pub fn create(&self, words: &[String]) -> Result<CreateOptions, Failure> {
        let (image, command) = words.split_first().ok_or_else(|| Failure::plain("no image"))?;
        Reference::parse_any(image).map_err(Failure::plain)?;
        Ok(CreateOptions {
            name: self.name.clone().filter(|name| !name.is_empty()),
            image: image.clone(),
            config: self.config(command)?,
            host: self.host()?,
            platform: self.platform.clone(),
            selinux: false,
        })
    }
}

#[cfg(test)]
mod tests;
