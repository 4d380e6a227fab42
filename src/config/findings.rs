//! Collects what is found wrong while a file is read, so that all of it can be reported at once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;

use super::error::{Errors, Issue, Place, Warning};
use super::fault::Fault;
use super::source::Source;

/// What has been found so far.
#[derive(Debug)]
pub(super) struct Findings<'t> {
    text: &'t str,
    found: RefCell<Vec<Finding>>,
}

#[derive(Debug)]
struct Finding {
    span: Range<usize>,
    weight: Weight,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Syntax,
    Error,
    /// Something is not there: not worth saying while a line could not be read.
    Missing,
    Warning,
}

impl<'t> Findings<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: RefCell::default() }
    }

    /// The number of the line around an offset, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        1 + self.text[..offset].matches('\n').count()
    }

    pub(super) fn syntax(&self, span: Range<usize>, fault: Fault) {
        self.add(span, Weight::Syntax, fault);
    }

    pub(super) fn error(&self, span: Range<usize>, fault: Fault) {
        self.add(span, Weight::Error, fault);
    }

    pub(super) fn missing(&self, span: Range<usize>, fault: Fault) {
        self.add(span, Weight::Missing, fault);
    }

    pub(super) fn warning(&self, span: Range<usize>, fault: Fault) {
        self.add(span, Weight::Warning, fault);
    }

    fn add(&self, span: Range<usize>, weight: Weight, fault: Fault) {
        self.found.borrow_mut().push(Finding { span, weight, fault });
    }

    /// The errors, or if there are none the warnings, in the order of the file.
    pub(super) fn sum_up(self, source: &Source<'_>) -> Result<Vec<Warning>, Errors> {
        let mut findings = self.found.into_inner();
        findings.sort_by_key(|finding| (finding.span.start, finding.weight == Weight::Missing));
        drop_echoes(&mut findings, source);
        let (warnings, errors): (Vec<_>, _) =
            findings.into_iter().partition(|finding| finding.weight == Weight::Warning);
        let issue =
            |finding: Finding| Issue { place: Place::Line(source.excerpt(&finding.span)), fault: finding.fault };
        match Errors::of(errors.into_iter().map(issue).collect()) {
            Some(errors) => Err(errors),
            None => Ok(warnings.into_iter().map(|finding| Warning(issue(finding))).collect()),
        }
    }
}

/// Leaves out what a syntax error brings with it: more errors on its line and, where a list is not
/// closed, the same error on every line below.
fn drop_echoes(findings: &mut Vec<Finding>, source: &Source<'_>) {
    let line = |finding: &Finding| source.line_at(finding.span.start);
    let is_syntax = |finding: &&Finding| finding.weight == Weight::Syntax;
    let broken: HashSet<_> = findings.iter().filter(is_syntax).map(line).collect();
    if broken.is_empty() {
        return;
    }
    let starts_anew =
        |line: Range<usize>| source.text[line.clone()].starts_with('[') || source.text[line].contains('=');
    let (mut told, mut last) = (HashSet::new(), String::new());
    findings.retain(|finding| match finding.weight {
        Weight::Syntax => {
            let reason = finding.fault.to_string();
            let is_echo = reason == last && starts_anew(line(finding));
            last = reason;
            told.insert(line(finding)) && !is_echo
        }
        Weight::Error => !broken.contains(&line(finding)),
        Weight::Missing | Weight::Warning => false,
    });
}
