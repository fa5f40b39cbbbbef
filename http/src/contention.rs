//! Changes that are computed from what was read, and written down on condition that nobody was first.

use crate::problem::Problem;

/// How often a change is tried that others keep coming before. They then did as many changes, each in
/// a moment: whoever meets that has met a machine gone wild.
pub const ATTEMPTS: usize = 20;

/// Reads, computes and writes, again where somebody was first, which it says by `None`.
pub async fn retried<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<Option<T>, Problem>>,
{
    for _ in 0..ATTEMPTS {
        if let Some(done) = attempt().await? {
            return Ok(done);
        }
    }
    Err(Problem::Unavailable)
}
