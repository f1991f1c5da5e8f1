//! Any bytes: no panic. What is a Dockerfile to us has all its lines in order, and its words expand or are refused; where
//! `parse-dockerfile` takes it too, both find the same instructions.
#![no_main]

use dockerfile::configure::Image;
use dockerfile::{Dockerfile, Given, Globals, Ignore, Instruction, Step, parse, plan};
use libfuzzer_sys::fuzz_target;

fn check_spans(file: &Dockerfile, last: usize) {
    let stages = file.stages.iter().flat_map(|stage| {
        std::iter::once(stage.span).chain(stage.steps.iter().map(|step| step.span))
    });
    let mut before = 0;
    for span in file.global_args.iter().map(|step| step.span).chain(stages) {
        assert!(before < span.first && span.first <= span.last && span.last <= last, "{span:?} after {before}");
        assert!(!file.text.excerpt(span).is_empty());
        before = span.last;
    }
}

fn walk(file: &Dockerfile) {
    let Ok(globals) = Globals::new(file, &Given::default()) else { return };
    let _ = plan(file, &globals, None);
    for stage in &file.stages {
        let mut scope = globals.stage(&["PATH=/bin".to_owned()]);
        let mut image = Image::default();
        for step in &stage.steps {
            let _ = scope.shown(step);
            if let Instruction::Run(run) = &step.instruction {
                let _ = run.invocation();
                for mount in &run.mounts {
                    let _ = mount.resolve(&scope);
                }
            }
            let _ = image.apply(&step.instruction, &mut scope);
        }
    }
}

fn names(steps: &[Step]) -> impl Iterator<Item = String> {
    steps.iter().map(|step| step.instruction.name().to_owned())
}

fn compare(text: &str, file: &Dockerfile) {
    let Ok(theirs) = parse_dockerfile::parse(text) else { return };
    let theirs: Vec<String> = theirs
        .instructions
        .iter()
        .map(|instruction| format!("{instruction:?}").split('(').next().unwrap_or_default().to_uppercase())
        .collect();
    let mut ours: Vec<String> = names(&file.global_args).collect();
    for stage in &file.stages {
        ours.push("FROM".to_owned());
        ours.extend(names(&stage.steps));
    }
    // A RUN's later here-documents, and white space that Unicode knows, are beyond the other one.
    if text.is_ascii() && !text.contains("<<") && !text.contains(['\r', '\x0b', '\x0c']) {
        assert_eq!(ours, theirs);
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(rules) = Ignore::parse(bytes) {
        let _ = rules.excludes("a/b/c") || rules.excludes_all_below("a");
    }
    let Ok(file) = parse("Dockerfile", bytes) else { return };
    let text = std::str::from_utf8(bytes).expect("else it is refused");
    check_spans(&file, text.split('\n').count());
    walk(&file);
    compare(text, &file);
});
