//! One case: layers, operations, and the three that have to agree.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::prelude::*;
use rustix::fs::Mode;
use rustix::io::Errno;

use crate::disk::Disk;
use crate::layers::{self, Step};
use crate::listing::{Also, Tree, assert_same, tree};
use crate::memory::Memory;
use crate::mounted::{By, How, Mounted};
use crate::operations::{Act, Op, Outcome, operation};

/// Layers, and what is done to their union.
#[derive(Clone)]
pub struct Case {
    /// The lowest first.
    pub layers: Vec<Vec<Step>>,
    pub operations: Vec<Op>,
    pub redirect: bool,
    pub passthrough: bool,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "redirect {}, passthrough {}", self.redirect, self.passthrough)?;
        for (number, layer) in self.layers.iter().enumerate() {
            writeln!(f, "layer {number}, from below:")?;
            layer.iter().try_for_each(|step| writeln!(f, "  {step:?}"))?;
        }
        writeln!(f, "operations:")?;
        self.operations.iter().try_for_each(|op| writeln!(f, "  {op:?}"))
    }
}

/// A random one.
pub fn case() -> impl Strategy<Value = Case> {
    let layers = prop::collection::vec(layers::layer(), 2..4);
    let operations = prop::collection::vec(operation(), 1..50);
    (layers, operations, any::<bool>()).prop_map(|(layers, operations, passthrough)| Case {
        layers,
        operations,
        redirect: false,
        passthrough,
    })
}

thread_local! {
    /// Mounts that nobody else sees: a namespace that another process copies meanwhile would keep an upper layer in use.
    static APART: () = sys::mount::private_namespace().unwrap();
}

/// Whether unions can be mounted here; says why not. From then on this thread's mounts are its own.
pub fn ready() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    let ready = *READY.get_or_init(|| {
        if !testkit::require_root("unions are mounted") {
            return false;
        }
        // The server clears it, too: what is made has the permissions that are asked for.
        rustix::process::umask(Mode::empty());
        let missing = match fs::OpenOptions::new().read(true).write(true).open("/dev/fuse") {
            Err(e) => Some(format!("/dev/fuse: {e}")),
            Ok(_) => kernel_missing(),
        };
        if let Some(why) = &missing {
            testkit::machine::skip("unions are compared", why);
        }
        missing.is_none()
    });
    if ready {
        APART.with(|()| ());
    }
    ready
}

fn kernel_missing() -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::new(dir.path(), &Case { layers: vec![vec![]], ..Case::empty() }).0;
    let tried = std::panic::catch_unwind(|| drop(stage.mount(By::Kernel, By::Kernel)));
    tried.err().map(|_| "the kernel's overlay cannot be mounted".to_owned())
}

impl Case {
    fn empty() -> Self {
        Self { layers: Vec::new(), operations: Vec::new(), redirect: false, passthrough: false }
    }
}

/// Layers on the disk, and two upper directories.
struct Stage {
    dir: PathBuf,
    /// The topmost first.
    lowers: Vec<PathBuf>,
    options: How,
}

impl Stage {
    fn new(dir: &Path, case: &Case) -> (Self, Memory) {
        let mut model = Memory::new(case.redirect);
        let mut lowers = Vec::new();
        for (number, steps) in case.layers.iter().enumerate() {
            let layer = dir.join(format!("layer{number}"));
            fs::create_dir(&layer).unwrap();
            layers::make(&layer, steps, &model, i64::try_from(number).unwrap());
            model.add_layer(&layer);
            lowers.insert(0, layer);
        }
        for name in ["Ours/upper", "Ours/work", "Kernel/upper", "Kernel/work", "at/Ours", "at/Kernel"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let options = How { redirect: case.redirect, passthrough: case.passthrough };
        (Self { dir: dir.to_owned(), lowers, options }, model)
    }

    fn at(&self, by: By) -> PathBuf {
        self.dir.join("at").join(format!("{by:?}"))
    }

    /// Mounts one's union over the upper directory of one.
    fn mount(&self, by: By, upper: By) -> Mounted {
        let upper = self.dir.join(format!("{upper:?}"));
        Mounted::new(by, &self.at(by), &self.lowers, Some(&upper), self.options)
    }

    /// What one shows over the upper directory of one.
    fn shown(&self, by: By, upper: By) -> Tree {
        let _mounted = self.mount(by, upper);
        tree(&self.at(by))
    }

    /// What one shows when that upper directory is a layer.
    fn shown_as_layer(&self, by: By, upper: By) -> Tree {
        let mut lowers = vec![self.dir.join(format!("{upper:?}")).join("upper")];
        lowers.extend(self.lowers.iter().cloned());
        let _mounted = Mounted::new(by, &self.at(by), &lowers, None, self.options);
        tree(&self.at(by))
    }

    fn layers(&self) -> Vec<Tree> {
        self.lowers.iter().map(|layer| tree(layer)).collect()
    }
}

/// Whether ours does what the kernel's overlay does not: with `index=on` that cannot change a file of a lower layer that
/// was opened for reading and has lost its name since.
fn better(op: &Op, kernels: &Outcome, ours: &Outcome) -> bool {
    matches!(op, Op::Held(_, Act::Chmod(_))) && *kernels == Err(Errno::EXIST) && ours.is_ok()
}

const ALL: Also = Also { links: true, inodes: false, exact: true };
/// Between what showed before and what shows now.
const LATER: Also = Also { exact: false, ..ALL };

/// Tries one.
pub fn try_case(case: &Case) {
    let dir = tempfile::tempdir().unwrap();
    let (stage, mut model) = Stage::new(dir.path(), case);
    let layers = stage.layers();
    let (mut before, mut kernels) = (Tree::new(), Tree::new());
    {
        let _mounts = (stage.mount(By::Ours, By::Ours), stage.mount(By::Kernel, By::Kernel));
        assert_same("the kernel's union at first", &model.tree(), &tree(&stage.at(By::Kernel)), ALL);
        assert_same("our union at first", &model.tree(), &tree(&stage.at(By::Ours)), ALL);
        let (mut ours, mut kernel) = (Disk::new(&stage.at(By::Ours)), Disk::new(&stage.at(By::Kernel)));
        for (number, op) in case.operations.iter().enumerate() {
            let (wanted, kernels, done) = (model.run(op), kernel.run(op), ours.run(op));
            assert_eq!(done, wanted, "ours and the model; the kernel's {kernels:?}: {number}. {op:?}");
            if let (true, Op::Held(slot, _)) = (better(op, &kernels, &done), op) {
                ours.release(*slot);
                kernel.release(*slot);
                model.release(*slot);
                continue;
            }
            assert_eq!(done, kernels, "ours and the kernel's overlay: {number}. {op:?}");
        }
        for (by, shown) in [(By::Kernel, &mut kernels), (By::Ours, &mut before)] {
            *shown = tree(&stage.at(by));
            assert_same(&format!("{by:?} at the end"), &model.tree(), shown, ALL);
            for (path, entry) in &model.tree() {
                shown.get_mut(path).unwrap().links = entry.links;
            }
        }
    }
    let model_tree = model.tree();
    for (upper, before) in [(By::Ours, &before), (By::Kernel, &kernels)] {
        let other = if upper == By::Ours { By::Kernel } else { By::Ours };
        let again = stage.shown(upper, upper);
        assert_same(&format!("{upper:?} mounted again"), &model_tree, &again, ALL);
        // Times that the model does not know.
        let also = Also { inodes: upper == By::Ours, ..LATER };
        assert_same(&format!("{upper:?} mounted again, in detail"), before, &again, also);
        let others = stage.shown(other, upper);
        assert_same(&format!("{other:?} over the upper of {upper:?}"), before, &others, LATER);
        let [ours, kernels] = [By::Ours, By::Kernel].map(|by| stage.shown_as_layer(by, upper));
        // What keeps links is in the work directory, which is no layer.
        let also = Also { links: false, ..LATER };
        assert_same(&format!("the upper of {upper:?} as a layer"), &kernels, &ours, also);
        if !model.links_below {
            assert_same(&format!("the upper of {upper:?} as a layer, and before"), before, &ours, also);
        }
    }
    assert_eq!(stage.layers(), layers, "a lower layer was changed");
}
