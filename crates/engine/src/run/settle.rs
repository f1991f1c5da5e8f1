//! What is true of a container whose monitor was killed, or whose machine was restarted.

use model::ContainerId;
use runtime::Bundle;
use store::{Change, Container};

use super::MonitorOptions;
use crate::{Engine, Error, Result, now};

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

    /// Waits until a container that has ended, or is about to, is cleaned up after.
    pub(crate) fn wait_settled(&self, id: &ContainerId) -> Result<()> {
        let dir = match self.store.containers().dir(id)? {
            Some(dir) => dir,
            // It was to be removed when it ended.
            None => return Ok(()),
        };
        let claim = sys::lock::lock(dir, sys::lock::Mutual::Exclusive)?;
        if self.store.containers().exists(id)? {
            self.settle_claimed(id)?;
        }
        drop(claim);
        Ok(())
    }

    /// Kills a container that runs, and takes its lock.
    pub(crate) fn kill_and_claim(&self, id: &ContainerId) -> Result<sys::lock::Lock> {
        loop {
            if let Some(process) = self.process_of(id)? {
                process.kill()?;
                process.wait(None);
            }
            let dir = self.store.containers().dir(id)?;
            let dir = dir.ok_or_else(|| Error::NoSuchContainer(id.to_string()))?;
            let claim = sys::lock::lock(dir, sys::lock::Mutual::Exclusive)?;
            self.settle_claimed(id)?;
            // Somebody may have started it again in between.
            if self.process_of(id)?.is_none() {
                return Ok(claim);
            }
        }
    }
}
