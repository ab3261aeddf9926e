//! Who calls a service: the administrator by password, whoever holds the service's token, or a user who may see it.
//!
//! A token is verified before anything is said about the service: whoever is nobody cannot find out which exist.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use spillway_model::service::Service;
use tracing::error;

use super::super::App;
use super::super::executions::CalledBy;
use super::super::problem::Problem;
use super::NOBODY;
use crate::auth::{
    BearerRefusal, Caller, Presented, Refusal, TOKEN_DIGITS, TOO_MANY, TokenError, access,
    claimed_issuer,
};

/// A call before it is known who makes it.
pub(super) struct Call<'a> {
    pub(super) service: &'a str,
    /// Owner of the service, if the caller names one.
    pub(super) owner: Option<&'a str>,
    pub(super) from: IpAddr,
    /// What a user without a good token gets to see: the two paths differ.
    pub(super) not_authorised: StatusCode,
}

/// A caller who may call the service.
pub(super) struct Invoker {
    /// The user, whose job it will be; nobody in particular for the administrator and the service's own token.
    pub(super) user: Option<String>,
    /// The name in the log of executions.
    pub(super) logged: String,
}

/// The answer to somebody who may not.
pub(super) struct Refused {
    problem: Problem,
    /// If he is known nevertheless.
    user: Option<String>,
}

impl Refused {
    pub(super) fn into_response(self) -> Response {
        let mut answer = self.problem.into_response();
        if let Some(user) = self.user {
            answer.extensions_mut().insert(CalledBy(user));
        }
        answer
    }
}

impl<P: Into<Problem>> From<P> for Refused {
    fn from(problem: P) -> Self {
        Self {
            problem: problem.into(),
            user: None,
        }
    }
}

impl Call<'_> {
    /// Finds out who calls.
    pub(super) async fn invoker(&self, app: &App, headers: &HeaderMap) -> Result<Invoker, Refused> {
        let nobody = |user: &str| Invoker {
            user: None,
            logged: user.to_owned(),
        };
        match Presented::read(headers) {
            Presented::Nothing => Err(Problem::Empty(StatusCode::UNAUTHORIZED).into()),
            Presented::Basic { username, password } => {
                match app.gatekeeper.check(self.from, &username, &password) {
                    Ok(()) if self.find(app).await?.is_some() => Ok(nobody(&username)),
                    Ok(()) => Err(Problem::NOT_FOUND.into()),
                    Err(refusal) => Err(wrong(refusal).into()),
                }
            }
            Presented::Bearer(token) if token.len() == TOKEN_DIGITS => {
                // An unknown service compares, too: the time must not tell which names exist.
                let expected = self.find(app).await?.map(|service| service.token);
                let checked =
                    app.gatekeeper
                        .check_token(self.from, &token, &expected.unwrap_or_default());
                checked.map_err(wrong)?;
                Ok(nobody(NOBODY))
            }
            Presented::Bearer(token) => self.user(app, &token).await,
        }
    }

    async fn user(&self, app: &App, token: &str) -> Result<Invoker, Refused> {
        let user = match app.gatekeeper.bearer(self.from, token).await {
            Ok(user) => user,
            Err(refusal) => return Err(self.refused(app, refusal, token).await?),
        };
        let uid = user.uid.clone();
        let sees = |service: &Service| access::may_see(&Caller::User(user), service);
        if self.find(app).await?.as_ref().is_some_and(sees) {
            Ok(Invoker {
                user: Some(uid.clone()),
                logged: uid,
            })
        } else {
            Err(Refused {
                problem: Problem::NOT_FOUND,
                user: Some(uid),
            })
        }
    }

    async fn refused(
        &self,
        app: &App,
        refusal: BearerRefusal,
        token: &str,
    ) -> Result<Refused, Problem> {
        let text = |status| Problem::Text(status, refusal.to_string());
        let unknown = |issuer: &str| {
            Problem::bad(format!("Error getting oidc manager for issuer '{issuer}'"))
        };
        let not_authorised = Problem::Empty(self.not_authorised);
        Ok(match &refusal {
            BearerRefusal::Disabled => match claimed_issuer(token) {
                Some(issuer) => unknown(&issuer).into(),
                None => text(StatusCode::UNAUTHORIZED).into(),
            },
            BearerRefusal::TooMany => text(StatusCode::TOO_MANY_REQUESTS).into(),
            BearerRefusal::Token(cause) => match cause {
                // The reference says 502, which its clients take for "not ready yet" and repeat.
                TokenError::NotAJwt => text(StatusCode::UNAUTHORIZED).into(),
                TokenError::Issuer(issuer) => unknown(issuer).into(),
                TokenError::Forged(_) | TokenError::Refused(_) => not_authorised.into(),
                TokenError::NoGroup(user) => {
                    let service = self.find(app).await?;
                    let caller = Caller::User(std::sync::Arc::clone(user));
                    let seen = service.filter(|service| access::may_see(&caller, service));
                    let problem = match seen {
                        Some(service) if self.not_authorised == StatusCode::UNAUTHORIZED => {
                            let text =
                                format!("this user isn't enrrolled on the vo: {}", service.vo);
                            Problem::Text(StatusCode::UNAUTHORIZED, text)
                        }
                        _ => Problem::NOT_FOUND,
                    };
                    Refused {
                        problem,
                        user: Some(user.uid.clone()),
                    }
                }
                TokenError::Away { .. } => text(StatusCode::SERVICE_UNAVAILABLE).into(),
                TokenError::Account(cause) if cause.is_refusal() => {
                    text(StatusCode::UNAUTHORIZED).into()
                }
                TokenError::Account(cause) => {
                    error!(error = ?cause, "making the account of a user");
                    text(StatusCode::INTERNAL_SERVER_ERROR).into()
                }
            },
        })
    }

    /// The service that is called, if there is one of that name and owner.
    async fn find(&self, app: &App) -> Result<Option<Service>, Problem> {
        let service = app.services.get(self.service).await?;
        Ok(service.filter(|service| self.owner.is_none_or(|owner| owner == service.owner)))
    }
}

fn wrong(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Wrong => Problem::Empty(StatusCode::UNAUTHORIZED),
        Refusal::TooMany => Problem::Text(StatusCode::TOO_MANY_REQUESTS, TOO_MANY.to_owned()),
    }
}
