//! Headers, each described once.

use serde_json::{Map, Value, json};

/// Those of every answer.
pub const EVERYWHERE: [&str; 6] = [
    "X-Request-Id",
    "traceparent",
    "X-Content-Type-Options",
    "Cache-Control",
    "Referrer-Policy",
    "Content-Security-Policy",
];

/// Those of an answer that pages of other sites may read.
pub const SHARED: [&str; 3] =
    ["Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Vary"];

/// Those of a limited route, while its limit is on (IETF httpapi, structured fields).
pub const OF_LIMITS: [&str; 2] = ["RateLimit-Policy", "RateLimit"];

/// Those of the answer to a preflight.
pub const OF_PREFLIGHT: [&str; 4] = [
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Max-Age",
];

/// Those that caller and service exchange on any route.
pub const OF_EVERY_REQUEST: [&str; 2] = ["X-Request-Id", "traceparent"];

struct Header {
    name: &'static str,
    description: &'static str,
    /// A regular expression, of the whole value if it says so.
    pattern: &'static str,
    example: &'static str,
}

const ALL: &[Header] = &[
    Header {
        name: "X-Request-Id",
        description: "The request's id: the caller's, if it is 1 to 64 letters, digits or `-_.`, \
                      else a new one. It is in every log line, message and event that the request \
                      caused.",
        pattern: "^[A-Za-z0-9._-]{1,64}$",
        example: "order-66",
    },
    Header {
        name: "traceparent",
        description: "W3C trace context: the caller's trace is continued, else one begins.",
        pattern: "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        example: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    },
    Header {
        name: "X-Content-Type-Options",
        description: "The content is what its type says.",
        pattern: "^nosniff$",
        example: "nosniff",
    },
    Header {
        name: "Cache-Control",
        description: "Nothing served here is for another visitor or for later.",
        pattern: "^no-store$",
        example: "no-store",
    },
    Header {
        name: "Content-Security-Policy",
        description: "What a browser may load for the answer, should it show it.",
        pattern: "^default-src 'none'",
        example: "default-src 'none'",
    },
    Header {
        name: "Referrer-Policy",
        description: "Addresses hold secrets: they are told nobody.",
        pattern: "^no-referrer$",
        example: "no-referrer",
    },
    Header {
        name: "Access-Control-Allow-Origin",
        description: "The site whose pages may read the answer, or any.",
        pattern: "",
        example: "https://www.example.org",
    },
    Header {
        name: "Access-Control-Expose-Headers",
        description: "The headers that they may read.",
        pattern: "",
        example: "location, retry-after",
    },
    Header {
        name: "Access-Control-Allow-Methods",
        description: "The methods that they may use.",
        pattern: "",
        example: "GET, HEAD, POST",
    },
    Header {
        name: "Access-Control-Allow-Headers",
        description: "The headers that they may send.",
        pattern: "",
        example: "content-type, idempotency-key",
    },
    Header {
        name: "Access-Control-Max-Age",
        description: "For how many seconds a browser may remember that.",
        pattern: "^[1-9][0-9]*$",
        example: "3600",
    },
    Header {
        name: "RateLimit-Policy",
        description: "The policy that counts: its quota `q` in any `w` seconds.",
        pattern: r#"^"[a-z]+";q=[0-9]+;w=[0-9]+$"#,
        example: r#""create";q=3;w=600"#,
    },
    Header {
        name: "RateLimit",
        description: "What is left of it, `r`, and in how many seconds more is, `t`.",
        pattern: r#"^"[a-z]+";r=[0-9]+;t=[0-9]+$"#,
        example: r#""create";r=2;t=431"#,
    },
    Header {
        name: "Location",
        description: "Where the submission is looked up by its id.",
        pattern: "^/api/support/ticket/[0-9a-f-]{36}$",
        example: "/api/support/ticket/01a202c3-c662-7aeb-85b5-ac7a63952b19",
    },
    Header {
        name: "Content-Disposition",
        description: "What to call the file.",
        pattern: "^attachment; filename=",
        example: "attachment; filename=\"tickets-2026-11-22.ndjson\"",
    },
    Header {
        name: "Vary",
        description: "The request headers on which the answer depends.",
        pattern: "",
        example: "Prefer",
    },
    Header {
        name: "Preference-Applied",
        description: "The preferences that were heeded (RFC 7240).",
        pattern: "^(respond-async|wait=[0-9]+|respond-async, wait=[0-9]+)$",
        example: "respond-async",
    },
    Header {
        name: "Idempotency-Replayed",
        description: "The key came before: this is the first one's answer.",
        pattern: "^true$",
        example: "true",
    },
    Header {
        name: "Retry-After",
        description: "In how many seconds to try again.",
        pattern: "^[1-9][0-9]*$",
        example: "2",
    },
    Header {
        name: "WWW-Authenticate",
        description: "The scheme that admits.",
        pattern: "^Bearer",
        example: "Bearer",
    },
    Header {
        name: "ETag",
        description: "The version of the ticket, for `If-Match`.",
        pattern: "^\"[1-9][0-9]*\"$",
        example: "\"3\"",
    },
    Header {
        name: "X-Accel-Buffering",
        description: "Tells a proxy to pass each event on at once.",
        pattern: "^no$",
        example: "no",
    },
    Header {
        name: "Allow",
        description: "The methods that the address has.",
        pattern: "^[A-Z]+(, ?[A-Z]+)*$",
        example: "GET,HEAD",
    },
];

fn find(name: &str) -> Option<&'static Header> {
    ALL.iter().find(|header| header.name.eq_ignore_ascii_case(name))
}

impl Header {
    fn schema(&self) -> Value {
        match self.pattern {
            "" => json!({"type": "string"}),
            pattern => json!({"type": "string", "pattern": pattern}),
        }
    }

    fn object(&self, required: bool) -> Value {
        json!({
            "description": self.description, "required": required, "schema": self.schema(),
            "example": self.example,
        })
    }
}

/// A header's name as it is written here; `None` for one that is described nowhere.
#[must_use]
pub fn written(name: &str) -> Option<&'static str> {
    find(name).map(|header| header.name)
}

/// The header objects of these names, as a response lists them.
pub fn objects(names: impl IntoIterator<Item = (&'static str, bool)>) -> Value {
    let object = |(name, required): (&str, bool)| {
        let is_shared = required && EVERYWHERE.contains(&name);
        let reference = || json!({"$ref": format!("#/components/headers/{name}")});
        let object = if is_shared { reference() } else { find(name)?.object(required) };
        Some((name.to_owned(), object))
    };
    names.into_iter().filter_map(object).collect::<Map<_, _>>().into()
}

/// The header objects that every answer refers to.
#[must_use]
pub fn shared() -> Value {
    let object = |name: &str| Some((name.to_owned(), find(name)?.object(true)));
    EVERYWHERE.into_iter().filter_map(object).collect::<Map<_, _>>().into()
}

/// A request's header as a parameter.
#[must_use]
pub fn parameter(name: &str) -> Value {
    let described = find(name);
    json!({
        "name": name,
        "in": "header",
        "description": described.map(|header| header.description),
        "schema": {"type": "string"},
        "example": described.map(|header| header.example),
    })
}
