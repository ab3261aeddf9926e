//! `GET /system/metrics/breakdown`: requests by service, by user or by country, as JSON or CSV.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::query::{Asked, Params, Problem, given};
use super::{Country, seen, visible};
use crate::api::Here;
use crate::api::answer::json;
use crate::auth::Caller;
use crate::metrics::{self, Amount};

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = MetricsBreakdown))]
struct Breakdown {
    start: String,
    end: String,
    group_by: &'static str,
    items: Vec<Item>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = MetricsItem))]
#[serde(untagged)]
enum Item {
    Service(Service),
    User(User),
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = MetricsOfService))]
#[allow(clippy::struct_field_names)] // The reference's members.
struct Service {
    key: String,
    requests_count_total: u64,
    requests_count_sync: u64,
    requests_count_async: u64,
    requests_count_exposed: u64,
    unique_users_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<BTreeSet<String>>,
    countries: Vec<Country>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = MetricsOfUser))]
struct User {
    key: String,
    executions_count: u64,
    countries: Vec<Country>,
}

/// What requests are broken down by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Service,
    User,
    /// Nothing here knows where requests come from.
    Country,
}

/// Breaks requests down by service, user or country.
#[cfg_attr(test, utoipa::path(get, path = "/system/metrics/breakdown", params(Params),
    responses(
        (status = 200, description = "The parts.", content((Breakdown = "application/json"), (String = "text/csv"))),
        (status = 400, description = "The range or a parameter makes no sense.", body = super::query::Told),
    ),
))]
pub(in crate::api) async fn show(
    State(app): Here,
    caller: Caller,
    Query(params): Query<Params>,
) -> Result<Response, Problem> {
    let Asked { start, end, range } = params.range()?;
    let group = match given(params.group_by.as_ref()) {
        None => return Err(Problem::bad("group_by is required")),
        Some("service") => Group::Service,
        Some("user") => Group::User,
        Some("country") => Group::Country,
        Some(_) => return Err(Problem::bad("unsupported group_by")),
    };
    let with_users = given(params.include_users.as_ref())
        .is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1");
    let as_csv = match given(params.format.as_ref()) {
        None | Some("json") => false,
        Some("csv") if with_users => {
            return Err(Problem::bad("include_users is not supported for csv"));
        }
        Some("csv") => true,
        Some(_) => return Err(Problem::bad("invalid format")),
    };
    let visible = visible(&app, &caller).await?;
    let amounts = seen(&app, &caller, range, &visible).await?;
    let items = items(group, &amounts, with_users);
    if as_csv {
        let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
        return Ok((headers, csv(group, &items)).into_response());
    }
    Ok(json(&Breakdown {
        start,
        end,
        group_by: group.word(),
        items,
    })?)
}

impl Group {
    fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::User => "user",
            Self::Country => "country",
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::Service => {
                "key,membership,requests_count_total,requests_count_sync,requests_count_async,requests_count_exposed,unique_users_count,countries"
            }
            Self::User => "key,membership,executions_count,countries",
            Self::Country => "key,membership,executions_count,unique_users_count,countries",
        }
    }
}

fn items(group: Group, amounts: &[Amount], with_users: bool) -> Vec<Item> {
    match group {
        Group::Service => metrics::by_service(amounts)
            .into_iter()
            .map(|(key, sums)| {
                Item::Service(Service {
                    key,
                    requests_count_total: sums.counts.requests(),
                    requests_count_sync: sums.counts.sync,
                    requests_count_async: sums.counts.asynchronous,
                    requests_count_exposed: sums.counts.exposed,
                    unique_users_count: sums.users.len(),
                    users: with_users.then_some(sums.users),
                    countries: Vec::new(),
                })
            })
            .collect(),
        Group::User => metrics::by_user(amounts)
            .into_iter()
            .map(|(key, executions_count)| {
                Item::User(User {
                    key,
                    executions_count,
                    countries: Vec::new(),
                })
            })
            .collect(),
        Group::Country => Vec::new(),
    }
}

fn csv(group: Group, items: &[Item]) -> String {
    let mut text = format!("{}\n", group.header());
    for item in items {
        // Writing to a string cannot fail.
        let _ = match item {
            Item::Service(it) => writeln!(
                text,
                "{},,{},{},{},{},{},",
                field(&it.key),
                it.requests_count_total,
                it.requests_count_sync,
                it.requests_count_async,
                it.requests_count_exposed,
                it.unique_users_count
            ),
            Item::User(it) => writeln!(text, "{},,{},", field(&it.key), it.executions_count),
        };
    }
    text
}

/// A name in CSV. Spreadsheets take some first characters for the start of a formula.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t']);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Kind;

    #[test]
    fn names_stay_in_their_column() {
        let amount = |user: &str| Amount {
            service: "grey".to_owned(),
            kind: Kind::Async,
            user: user.to_owned(),
            sum: 2,
        };
        let amounts = [amount("a,\"b\""), amount("=1+1"), amount("")];
        assert_eq!(
            csv(Group::User, &items(Group::User, &amounts, false)),
            "key,membership,executions_count,countries\n'=1+1,,2,\n\"a,\"\"b\"\"\",,2,\n"
        );
        let services = csv(Group::Service, &items(Group::Service, &amounts, false));
        assert_eq!(services.lines().nth(1), Some("grey,,6,0,6,0,2,"));
        let (head, row) = (services.lines().next().unwrap(), "grey,,6,0,6,0,2,");
        assert_eq!(head.split(',').count(), row.split(',').count());
    }
}
