//! Routes with `GRPCRoute`'s meaning.

use crate::support::client;
use crate::support::h2;
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;
use crate::upstream::{GrpcUpstream, status};

#[test]
fn a_call_goes_where_its_service_and_method_are_served() {
    let named = |name: &'static str| {
        GrpcUpstream::scripted(move |mut call| async move {
            let mut trailers = status("0");
            trailers.insert("x-name", name.parse().expect("a value"));
            call.answer("application/grpc").send_trailers(trailers).expect("trailers");
        })
    };
    let (pay, shop, page) = (named("pay"), named("shop"), Upstream::named("page"));
    let serin = Serin::new(&format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0 }}\nworkers: 1\nservices:\n  \
         pay: {{ versions: {{ v: {{ upstream: '{}' }} }} }}\n  shop: {{ versions: {{ v: {{ upstream: '{}' }} }} }}\n  \
         page: {{ versions: {{ v: {{ upstream: '{}' }} }} }}\nroutes:\n\
         - {{ service: page, matches: [ {{ path: {{ value: / }} }} ] }}\n\
         - {{ service: shop, matches: [ {{ method: {{ type: RegularExpression, service: 'shop[.].+' }} }} ] }}\n\
         - {{ service: pay, matches: [ {{ method: {{ service: shop.Checkout, method: Pay }}, headers: [ {{ name: x-country, value: ch }} ] }} ] }}\n",
        pay.url(),
        shop.url(),
        page.url()
    ));
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        for (path, country, name) in [
            ("/shop.Checkout/Pay", "ch", "pay"),
            ("/shop.Checkout/Pay", "de", "shop"),
            ("/shop.Checkout/Refund", "ch", "shop"),
            ("/shop.Cart/Add", "ch", "shop"),
        ] {
            let request = http::Request::post(format!("http://shop.example{path}"))
                .header("content-type", "application/grpc")
                .header("x-country", country)
                .body(h2::body("\0\0\0\0\0", None))
                .expect("a request");
            let answer = h2::whole(client.send_request(request).await.expect("an answer")).await.expect("whole");
            assert_eq!(answer.trailers.expect("trailers")["x-name"], name, "{path} {country}");
        }
    });
    assert_eq!(client::get(serin.web(), "/shop.Checkout/Pay", "x-country: ch\r\n").text(), "page");
}
