//! What was measured.

use std::collections::BTreeSet;

use super::ground::Ground;
use super::{Plan, Scale, Workload};
use crate::Error;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
}

/// One of the things that a workload measures. Less is better, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// The workload.
    pub workload: Workload,
    /// Its name there, for programs.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// What is counted.
    pub unit: Unit,
}

/// The measures, in the order in which they are shown.
macro_rules! measures {
    ($($id:ident = $workload:ident $name:literal $unit:ident $title:literal;)*) => {
        impl Measure {
            $(
                #[doc = $title]
                pub const $id: Self =
                    Self { workload: Workload::$workload, name: $name, title: $title, unit: Unit::$unit };
            )*
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$id),*];
        }
    };
}

measures! {
    CREATE = StartUp "create" Seconds "create a container";
    RUN = StartUp "run" Seconds "run a program that does nothing";
    FIRST_WRITE = CopyUp "first-write" Seconds "first write to a big file";
    SECOND_WRITE = CopyUp "second-write" Seconds "second write to it";
    WRITTEN_SPACE = CopyUp "space" Bytes "space that both take";
    NEW_FILES = SmallWrites "new" Seconds "make small files";
    CHANGED_FILES = SmallWrites "changed" Seconds "write to small files of the image";
    DEEP_LOAD = DeepLayers "load" Seconds "load an image of many layers";
    DEEP_MOUNT = DeepLayers "mount" Seconds "mount a container on them";
    DEEP_READ = DeepLayers "read" Seconds "read a file of each layer";
    FIRST_WALK = Walk "first" Seconds "walk the tree";
    SECOND_WALK = Walk "again" Seconds "walk it again";
    DELETE_TREE = Delete "tree" Seconds "delete a tree of the image";
    DELETE_CONTAINER = Delete "container" Seconds "remove the container";
    MEMORY = PageCache "memory" Bytes "memory for a big file, read by all";
    IMAGE_INODES = Inodes "image" Count "inodes of the image";
    CONTAINER_INODES = Inodes "container" Count "inodes of a new container";
    COMMAND = Command "time" Seconds "the command";
}

/// One measure of one driver.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub measure: Measure,
    /// The driver, or [`Report::VOLUME`].
    pub driver: String,
    /// What each round gave.
    pub samples: Vec<f64>,
}

impl Figure {
    /// The sample in the middle; of an even number, the mean of the two there.
    pub fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        match (sorted.get(low), sorted.get(high)) {
            (Some(low), Some(high)) => f64::midpoint(*low, *high),
            _ => 0.0,
        }
    }
}

/// What was not measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The driver.
    pub driver: String,
    /// The workload; none for all of them.
    pub workload: Option<Workload>,
    /// Why.
    pub why: String,
}

/// What was measured, and on what.
#[derive(Debug, Clone)]
pub struct Report {
    /// How much of everything.
    pub scale: Scale,
    /// The drivers, in the order that was asked for.
    pub drivers: Vec<String>,
    /// Files and directories of the image.
    pub entries: u64,
    /// Layers of the image.
    pub layers: usize,
    /// Bytes of its biggest file.
    pub big: u64,
    /// How many small files of the image were written to.
    pub changed: usize,
    /// The figures, in no order.
    pub figures: Vec<Figure>,
    /// What was not measured.
    pub skipped: Vec<Skipped>,
}

impl Report {
    /// What stands in place of a driver for a directory outside of containers.
    pub const VOLUME: &'static str = "volume";

    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            scale: plan.scale,
            drivers: plan.contestants.iter().map(|contestant| contestant.driver.clone()).collect(),
            entries: 0,
            layers: 0,
            big: 0,
            changed: 0,
            figures: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Takes over what the image has, which is the same for all.
    pub(super) fn describe(&mut self, ground: &Ground<'_>) {
        let survey = ground.survey();
        self.entries = survey.entries;
        self.layers = ground.layers();
        self.big = survey.big.as_ref().map_or(0, |(_, size)| *size);
        self.changed = survey.small.len().min(self.scale.writes);
    }

    pub(super) fn add(&mut self, measure: Measure, driver: &str, sample: f64) {
        match self.figures.iter_mut().find(|f| f.measure == measure && f.driver == driver) {
            Some(figure) => figure.samples.push(sample),
            None => self.figures.push(Figure { measure, driver: driver.to_owned(), samples: vec![sample] }),
        }
    }

    pub(super) fn skip(&mut self, driver: &str, workload: Option<Workload>, error: &Error) {
        self.skipped.push(Skipped { driver: driver.to_owned(), workload, why: error.to_string() });
    }

    pub(super) fn is_skipped(&self, driver: &str, workload: Workload) -> bool {
        self.skipped.iter().any(|s| s.driver == driver && s.workload.is_none_or(|w| w == workload))
    }

    /// The median of a measure.
    pub fn median(&self, measure: Measure, driver: &str) -> Option<f64> {
        Some(self.figures.iter().find(|f| f.measure == measure && f.driver == driver)?.median())
    }

    /// The columns that have figures, the volume last.
    pub fn columns(&self) -> Vec<&str> {
        let have: BTreeSet<&str> = self.figures.iter().map(|figure| &*figure.driver).collect();
        let all = self.drivers.iter().map(String::as_str).chain([Self::VOLUME]);
        all.filter(|driver| have.contains(driver)).collect()
    }

    /// The measures that have figures, in the order in which they are shown.
    pub fn rows(&self) -> Vec<Measure> {
        let measured = |measure: &&Measure| self.figures.iter().any(|figure| figure.measure == **measure);
        Measure::ALL.iter().filter(measured).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let median = |samples: &[f64]| {
            Figure { measure: Measure::CREATE, driver: "x".into(), samples: samples.to_vec() }.median()
        };
        assert_eq!(median(&[3.0, 100.0, 1.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
