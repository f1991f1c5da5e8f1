//! The same work for many things, on all processors.

use std::sync::{Mutex, PoisonError};

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

/// Calls `work` with each of `jobs` on up to `threads` threads, and returns the answers in the order of the jobs. The
/// largest by `size` start first, so that no processor waits for a big one in the end. After the first error, which is
/// returned, nothing is begun, and `stop` is to end what runs.
pub(crate) fn largest_first<J: Send, R: Send, S: Ord>(
    threads: usize,
    jobs: Vec<J>,
    size: impl Fn(&J) -> S,
    stop: impl Fn() + Sync,
    work: impl Fn(J) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let threads = threads.min(jobs.len());
    let mut answers: Vec<Option<R>> = jobs.iter().map(|_| None).collect();
    let mut queue: Vec<(usize, J)> = jobs.into_iter().enumerate().collect();
    queue.sort_by_key(|(_, job)| size(job));
    let queue = Mutex::new(queue);
    let first_error = Mutex::new(None);
    let done = Mutex::new(&mut answers);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let run = || {
        while let Some((index, job)) = next() {
            match work(job) {
                Ok(answer) => done.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(answer),
                Err(error) => {
                    let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
                    // Later ones may be there only because of the first.
                    if first.is_none() {
                        *first = Some(error);
                        stop();
                        queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => {
            answers.into_iter().map(|a| a.ok_or_else(|| Error::thread("working on", "a layer"))).collect()
        }
    }
}
