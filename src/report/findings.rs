//! Findings: what was left out or degraded, as a list on standard output and as log lines.

use std::fmt::Write as _;

use crate::base::log::NOTICE;
use crate::base::summary::{Finding, Severity};

/// Logs every finding at its severity, once, when the run is over.
pub fn log(findings: &[Finding]) {
    for finding in sorted(findings) {
        let hint = finding.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        let text = format!("{}: {}{hint}", finding.object, finding.reason);
        match finding.severity {
            Severity::Error => tracing::error!("{text}"),
            Severity::Warning => tracing::warn!("{text}"),
            Severity::Notice => tracing::info!(target: NOTICE, "{text}"),
        }
    }
}

/// What was left out or degraded, worst first; empty when there is nothing.
pub(super) fn text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let count = |severity| findings.iter().filter(|found| found.severity == severity).count();
    let mut text = format!(
        "Findings: errors {}, warnings {}, notices {}\n",
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Notice)
    );
    for finding in sorted(findings) {
        let severity = severity_name(finding.severity);
        let _ = writeln!(text, "  {severity:8} {}: {}", finding.object, finding.reason);
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "  {:8} hint: {hint}", "");
        }
    }
    text
}

/// A finding's severity in words.
pub(super) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// Worst first, then by object.
fn sorted(findings: &[Finding]) -> Vec<&Finding> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.object.cmp(&b.object)));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    // trap X-29
    #[test]
    fn findings_are_listed_worst_first_with_their_hints() {
        let finding = |severity, object: &str| Finding {
            severity,
            object: object.into(),
            reason: "left out".into(),
            hint: (severity == Severity::Error).then(|| "Fix it.".into()),
        };
        let list = [finding(Severity::Notice, "b"), finding(Severity::Error, "c")];
        assert_eq!(
            text(&list),
            "Findings: errors 1, warnings 0, notices 1\n  error    c: left out\n           \
             hint: Fix it.\n  notice   b: left out\n"
        );
    }
}
