//! The same small work for many things, on all processors.

use crate::{Engine, Error, Result};

/// Fewer things than this are not worth a thread.
const WORTH_A_THREAD: usize = 32;

impl Engine {
    /// Calls `work` with stretches of `items`, one for each processor, and joins the answers in the order of the items.
    pub(crate) fn in_parallel<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&[T]) -> Result<Vec<R>> + Sync,
    ) -> Result<Vec<R>> {
        let stretch = items.len().div_ceil(self.threads).max(WORTH_A_THREAD);
        std::thread::scope(|scope| {
            let mut stretches = items.chunks(stretch);
            let mine = stretches.next().unwrap_or_default();
            let others: Vec<_> = stretches.map(|items| scope.spawn(|| work(items))).collect();
            let mut all = work(mine)?;
            for other in others {
                all.extend(other.join().map_err(|_| Error::thread("working on", "a list"))??);
            }
            Ok(all)
        })
    }
}
