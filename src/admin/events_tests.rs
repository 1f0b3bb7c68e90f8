use std::time::SystemTime;

use axum::http::HeaderValue;

use super::*;

fn telling(feed: &Feed, service: Option<&str>) -> (Telling, mpsc::Receiver<Bytes>) {
    let (pieces, body) = mpsc::channel(1);
    let places = Arc::new(Semaphore::new(1));
    let open = Open::new(Arc::new(Registry::new(1)), places.try_acquire_owned().unwrap());
    let (following, begin, service) = (feed.follow(), feed.last(), service.map(str::to_owned));
    (Telling { following, begin, service, pieces, taking: Duration::from_millis(1), _open: open }, body)
}

fn event(service: &str, number: Option<u64>) -> Event {
    Event { number, ..Event::without_entry(Kind::Verdict, service, SystemTime::UNIX_EPOCH, json!({})) }
}

#[tokio::test]
async fn a_client_that_takes_nothing_or_is_far_behind_is_given_up() {
    let feed = Feed::new(0);
    let (mut stuck, _body) = telling(&feed, None);
    feed.tell(event("shop", Some(1)));
    feed.tell(event("shop", Some(2)));
    assert_eq!(stuck.go_on(0).await, Err(Cut::TooSlow), "its only place is taken");
    let (mut behind, mut body) = telling(&feed, None);
    for number in 3..1000 {
        feed.tell(event("shop", Some(number)));
    }
    assert_eq!(behind.go_on(2).await, Err(Cut::TooSlow));
    assert!(body.try_recv().is_err(), "no event is left out silently");
}

#[tokio::test]
async fn what_was_told_already_or_concerns_others_is_left_out() {
    let feed = Feed::new(0);
    let (mut telling, mut body) = telling(&feed, Some("shop"));
    for event in [
        event("shop", Some(1)),
        event("cart", Some(2)),
        event("cart", None),
        event("shop", None),
        event("shop", Some(3)),
    ] {
        feed.tell(event);
    }
    drop(feed);
    let told = async {
        let mut ids = Vec::new();
        while let Some(piece) = body.recv().await {
            ids.push(String::from_utf8_lossy(&piece).lines().next().unwrap_or_default().to_owned());
            if ids.len() == 2 {
                break;
            }
        }
        ids
    };
    telling.taking = Duration::from_secs(5);
    let (ended, ids) = tokio::join!(telling.go_on(1), told);
    assert_eq!((ended, ids), (Ok(()), vec!["id: 2.2".to_owned(), "id: 3".to_owned()]));
}

#[test]
fn a_lost_connection_says_more_than_the_address() {
    let mut headers = HeaderMap::new();
    let at = |headers: &HeaderMap, after| known(after, headers).ok().flatten().map(|id| id.to_string());
    assert_eq!(at(&headers, None), None);
    assert_eq!(at(&headers, Some("3")), Some("3".to_owned()));
    assert!(known(Some("x"), &headers).is_err());
    headers.insert("last-event-id", HeaderValue::from_static("5.1"));
    assert_eq!(at(&headers, Some("3")), Some("5.1".to_owned()));
    headers.insert("last-event-id", HeaderValue::from_static("x"));
    assert!(known(None, &headers).is_err());
}
