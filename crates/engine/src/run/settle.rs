//! What is true of a container whose monitor was killed, or whose machine was restarted.

use std::time::Duration;

use model::ContainerId;
use runtime::Bundle;
use store::{Change, Container};

use super::MonitorOptions;
use crate::{Engine, Result, now};

/// Between two looks at what somebody else does with a container.
const MOMENT: Duration = Duration::from_millis(2);

/// Docker's exit code of a container that ended while nobody looked.
const LOST: i32 = 255;

impl Engine {
    /// Brings the documents of all containers up to date that are recorded as running and do not, and cleans up after
    /// them. Quick when there are none.
    pub(crate) fn settle(&self) -> Result<()> {
        for id in self.store.running().list()? {
            match self.store.running().claim(&id) {
                // Its container was removed.
                Err(store::Error::NoContainer(_)) => self.store.running().remove(&id)?,
                Ok(Some(_claim)) => self.settle_claimed(&id)?,
                // Somebody runs it.
                Ok(None) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// As [`settle`](Self::settle), of one container whose lock the caller holds.
    pub(crate) fn settle_claimed(&self, id: &ContainerId) -> Result<()> {
        if !self.store.running().list()?.contains(id) {
            return Ok(());
        }
        if self.process_of(id)?.is_some() {
            // It goes on without a monitor, and can be stopped.
            return Ok(());
        }
        self.clean_up(id)?;
        let document = match self.store.containers().find(id) {
            Err(store::Error::BrokenContainer { .. }) => return Ok(()),
            other => other?,
        };
        if document.is_some_and(|document| document.state().running) {
            let lock = self.store.commit()?;
            let change = Change::Ended { code: LOST, at: now(), out_of_memory: false };
            self.store.containers().change(&lock, id, &change)?;
        }
        let removes = self.store.containers().host_config(id).and_then(|host| host.view());
        if removes.is_ok_and(|host| host.auto_remove) {
            self.remove_claimed(id, true, true)?;
        }
        Ok(())
    }

    /// Takes away what a run left: what the runtime keeps, the mount, the directory.
    pub(super) fn clean_up(&self, id: &ContainerId) -> Result<()> {
        let running = self.store.running();
        let life = running.life(id)?;
        let bundle = Bundle::at(&running.path(id));
        let host = self.store.containers().host_config(id).and_then(|host| host.view());
        if let Ok(host) = host
            && let Ok(runtime) = self.runtime_of(&host, &MonitorOptions::default())
        {
            // After a restart the runtime may not recognise what it wrote. It goes with the directory.
            let _ = runtime.delete(&id.hex(), &bundle);
        }
        if life.is_some_and(|life| life.mounted) {
            self.unmount_tree(id)?;
        }
        Ok(running.remove(id)?)
    }

    /// A container as it really is, for those who may change nothing.
    pub(crate) fn observed(&self, container: Container) -> Result<Container> {
        if !container.state().running {
            return Ok(container);
        }
        let Some(life) = self.store.running().life(container.id())? else { return Ok(container) };
        if life.monitor.is_alive() || life.process().is_some() {
            return Ok(container);
        }
        Ok(container.changed(&Change::Ended { code: LOST, at: now(), out_of_memory: false })?)
    }

    /// Waits until a container that has ended is cleaned up after; does not wait for one that was started again.
    pub(crate) fn wait_settled(&self, id: &ContainerId) -> Result<()> {
        loop {
            match self.store.running().claim(id) {
                // It was to be removed when it ended.
                Err(store::Error::NoContainer(_)) => return Ok(()),
                Ok(Some(_claim)) => return self.settle_claimed(id),
                Ok(None) if self.process_of(id)?.is_some() => return Ok(()),
                Ok(None) => std::thread::sleep(MOMENT),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Takes the lock of a container that is to be removed: kills it first if it runs and `force` says so; `None` if it
    /// runs. Waits for others who start or remove it just now.
    pub(crate) fn claim_to_remove(&self, id: &ContainerId, force: bool) -> Result<Option<sys::lock::Lock>> {
        loop {
            match self.process_of(id)? {
                Some(_) if !force => return Ok(None),
                Some(process) => {
                    process.kill()?;
                    process.wait(None);
                }
                None => {}
            }
            if let Some(claim) = self.store.running().claim(id)? {
                self.settle_claimed(id)?;
                // Somebody may have started it in between.
                if self.process_of(id)?.is_none() {
                    return Ok(Some(claim));
                }
            }
            std::thread::sleep(MOMENT);
        }
    }
}
