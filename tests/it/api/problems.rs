//! Problem documents (RFC 9457), one of each kind to the letter.

use expect_test::expect;

use super::shown::shown;
use super::{Api, STATISTICS, on_both_systems};
use crate::bed::form::Form;
use crate::bed::system::TICKETS;

on_both_systems! {
    a_400,
    a_401,
    a_404_of_a_ticket,
    a_404_of_an_address,
    a_405,
    a_413,
    a_415,
    a_422_of_a_form,
    a_422_of_a_query,
}

async fn a_400(api: Api) {
    expect![[r#"
        400 Bad Request
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/problem+json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        vary: Prefer
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "code": "invalid_json",
          "detail": "The body must be one JSON object in UTF-8.",
          "requestId": "REQUEST-ID",
          "status": 400,
          "success": false,
          "timestamp": "TIME",
          "title": "Not JSON",
          "type": "urn:supportline:problem:invalid-json"
        }
    "#]]
    .assert_eq(&shown(&api.submit_bytes("{").await));
}

async fn a_401(api: Api) {
    expect![[r#"
        401 Unauthorized
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/problem+json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        www-authenticate: Bearer
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "code": "unauthorized",
          "detail": "A valid bearer token is needed.",
          "requestId": "REQUEST-ID",
          "status": 401,
          "success": false,
          "timestamp": "TIME",
          "title": "Unauthorized",
          "type": "urn:supportline:problem:unauthorized"
        }
    "#]]
    .assert_eq(&shown(&api.get(STATISTICS).await));
}

async fn a_404_of_a_ticket(api: Api) {
    expect![[r#"
        404 Not Found
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/problem+json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "code": "ticket_not_found",
          "detail": "There is no such ticket.",
          "requestId": "REQUEST-ID",
          "status": 404,
          "success": false,
          "timestamp": "TIME",
          "title": "Ticket not found",
          "type": "urn:supportline:problem:ticket-not-found"
        }
    "#]]
    .assert_eq(&shown(&api.look_up("SUP-9999-999999").await));
}

async fn a_404_of_an_address(api: Api) {
    expect![[r#"
        404 Not Found
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/problem+json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "code": "not_found",
          "detail": "There is nothing at this address.",
          "requestId": "REQUEST-ID",
          "status": 404,
          "success": false,
          "timestamp": "TIME",
          "title": "Not found",
          "type": "urn:supportline:problem:not-found"
        }
    "#]]
    .assert_eq(&shown(&api.get("/api/support/nowhere").await));
}

async fn a_405(api: Api) {
    expect![[r#"
        405 Method Not Allowed
        allow: POST,OPTIONS
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/problem+json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "code": "method_not_allowed",
          "detail": "The Allow header names the methods this address has.",
          "requestId": "REQUEST-ID",
          "status": 405,
          "success": false,
          "timestamp": "TIME",
          "title": "Method not allowed",
          "type": "urn:supportline:problem:method-not-allowed"
        }
    "#]]
    .assert_eq(&shown(&api.get(TICKETS).await));
}

async fn a_413(api: Api) {
    expect![[r#"
        413 Payload Too Large
        cache-control: no-store
        connection: close
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/problem+json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        vary: Prefer
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "code": "body_too_large",
          "detail": "The body may have at most 65536 bytes.",
          "requestId": "REQUEST-ID",
          "status": 413,
          "success": false,
          "timestamp": "TIME",
          "title": "Body too large",
          "type": "urn:supportline:problem:body-too-large"
        }
    "#]]
    .assert_eq(&shown(&api.submit_bytes(vec![b' '; 65_537]).await));
}

async fn a_415(api: Api) {
    let answer = api.client.post(TICKETS).body("name=Ada").send().await;
    expect![[r#"
        415 Unsupported Media Type
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/problem+json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        vary: Prefer
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "code": "unsupported_media_type",
          "detail": "The body must be application/json in UTF-8.",
          "requestId": "REQUEST-ID",
          "status": 415,
          "success": false,
          "timestamp": "TIME",
          "title": "Unsupported media type",
          "type": "urn:supportline:problem:unsupported-media-type"
        }
    "#]]
    .assert_eq(&shown(&answer));
}

async fn a_422_of_a_form(api: Api) {
    let form = Form::valid().name("").email("ada").subject("other").without("timestamp");
    expect![[r#"
        422 Unprocessable Entity
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/problem+json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        vary: Prefer
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "code": "validation_failed",
          "detail": "Some fields break their rules; errors lists each of them.",
          "errors": [
            {
              "code": "blank",
              "detail": "must have at least one visible character",
              "pointer": "/name"
            },
            {
              "code": "invalid_email",
              "detail": "must be a mail address such as ada@example.org",
              "pointer": "/email"
            },
            {
              "code": "invalid_choice",
              "detail": "must be one of technical, billing, feature, account, general",
              "pointer": "/subject"
            },
            {
              "code": "required",
              "detail": "is required",
              "pointer": "/timestamp"
            }
          ],
          "requestId": "REQUEST-ID",
          "status": 422,
          "success": false,
          "timestamp": "TIME",
          "title": "Validation failed",
          "type": "urn:supportline:problem:validation-failed"
        }
    "#]]
    .assert_eq(&shown(&api.submit(&form).await));
}

async fn a_422_of_a_query(api: Api) {
    let path = format!("{STATISTICS}?days=0&timeZone=Utopia");
    let answer = api.client.get(&path).bearer(super::ADMIN_TOKEN).send().await;
    expect![[r#"
        422 Unprocessable Entity
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/problem+json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "code": "invalid_query",
          "detail": "Some parameters break their rules; errors lists each of them.",
          "errors": [
            {
              "code": "out_of_range",
              "detail": "must be a whole number from 1 to 366",
              "pointer": "/days"
            },
            {
              "code": "invalid_time_zone",
              "detail": "must be the name of an IANA time zone, such as Asia/Kolkata",
              "pointer": "/timeZone"
            }
          ],
          "requestId": "REQUEST-ID",
          "status": 422,
          "success": false,
          "timestamp": "TIME",
          "title": "Invalid query",
          "type": "urn:supportline:problem:invalid-query"
        }
    "#]]
    .assert_eq(&shown(&answer));
}
