//! What an answer says about a write.

use http::{Method, StatusCode};

use crate::migration::Unanswered;
use crate::migration::journal::Said;

/// Whether the version has the write, will have it later, or never.
pub(super) fn of(method: &Method, answer: Result<StatusCode, Unanswered>) -> Said {
    let status = match answer {
        Ok(status) | Err(Unanswered::TooLong { status, .. }) => status,
        Err(Unanswered::NotReached(why)) => return Said::Nothing(why),
        Err(Unanswered::NoAnswer(why)) => return Said::Later(why),
    };
    let said = || format!("status {}", status.as_u16());
    match status {
        // They send the write elsewhere, where serin does not follow.
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => Said::Never(said()),
        status if status.is_success() || status.is_redirection() => Said::Done,
        // What it wants is the case.
        StatusCode::NOT_FOUND | StatusCode::GONE if method == Method::DELETE => Said::Done,
        // 409 is what a version says that is still busy with the first of two equal keys.
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Said::Later(said())
        }
        status if status.is_client_error() => Said::Never(said()),
        _ => Said::Later(said()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_done_later_or_never() {
        let verdict = |method: Method, status| of(&method, StatusCode::from_u16(status).map_err(|_| unreachable!()));
        for status in [200, 201, 204, 302, 303, 304] {
            assert_eq!(verdict(Method::PUT, status), Said::Done, "{status}");
        }
        for status in [408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(matches!(verdict(Method::PUT, status), Said::Later(_)), "{status}");
        }
        for status in [307, 308, 400, 401, 404, 410, 412, 422] {
            assert!(matches!(verdict(Method::PUT, status), Said::Never(_)), "{status}");
        }
        assert_eq!(verdict(Method::DELETE, 404), Said::Done);
        assert_eq!(verdict(Method::DELETE, 410), Said::Done);
    }

    #[test]
    fn a_version_that_is_not_reached_says_nothing_and_one_that_breaks_off_says_later() {
        let verdict = |why| of(&Method::PUT, Err(why));
        assert!(matches!(verdict(Unanswered::NotReached("no".into())), Said::Nothing(_)));
        assert!(matches!(verdict(Unanswered::NoAnswer("no".into())), Said::Later(_)));
        assert!(matches!(verdict(Unanswered::TooLong { status: StatusCode::CREATED, max: 1 }), Said::Done));
    }
}
