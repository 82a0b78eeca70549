//! Subjects, and patterns of subjects.

/// Returns `true` if a pattern, which may have `*` and `>`, covers a subject. The subject may be a pattern itself.
pub(super) fn covers(pattern: &str, subject: &str) -> bool {
    let mut words = subject.split('.');
    for part in pattern.split('.') {
        match (part, words.next()) {
            (">", Some(_)) => return true,
            ("*", Some(word)) if word != ">" => {}
            (part, Some(word)) if part == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

/// Returns `true` if some subject is covered by both patterns.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        match (ones.next(), others.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some(one), Some(other)) if one == "*" || other == "*" || one == other => {}
            _ => return false,
        }
    }
}

/// Returns `true` for a subject, or a pattern of subjects.
pub(super) fn is_valid(pattern: &str) -> bool {
    let words = pattern.split('.').count();
    pattern.split('.').enumerate().all(|(at, word)| {
        let is_last = at + 1 == words;
        !word.is_empty() && (word != ">" || is_last) && !word.contains([' ', '\t', '\r', '\n'])
    })
}

/// Returns `true` if a pattern is one subject.
pub(super) fn is_literal(pattern: &str) -> bool {
    pattern.split('.').all(|word| word != "*" && word != ">")
}
