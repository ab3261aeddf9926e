//! Federations: the same service on several clusters. Here: who is a member, and keeping the members' copies as the
//! coordinator's definition says. A copy is made only in a `star` or a `mesh`; with the topology `none` the members
//! are places that jobs may be handed to, and their services are their own business.

mod edit;
mod remote;
#[cfg(test)]
mod tests;
mod workers;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use spillway_model::service::Service;

pub(crate) use edit::{Edit, How};
pub(crate) use remote::Credentials;
use remote::{Answer, Remote, RemoteError};

/// Secret with which a federation acts in its owner's name.
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";

/// Annotation of a copy.
pub(crate) const WORKER: &str = "oscar.grycap/federation-worker";

/// Annotations of a copy: where it comes from.
const ORIGIN_CLUSTER: &str = "oscar.grycap/origin-cluster";
const ORIGIN_SERVICE: &str = "oscar.grycap/origin-service";

/// Members of one federation at most.
pub(crate) const MEMBERS: usize = 100;

/// Members that are talked to at the same time.
const AT_ONCE: usize = 4;

/// Whether it is a copy that another cluster keeps.
pub(crate) fn is_worker(service: &Service) -> bool {
    service
        .annotations
        .get(WORKER)
        .is_some_and(|it| it == "true")
}

/// Whether this definition keeps copies on other clusters.
pub(crate) fn coordinates(service: &Service) -> bool {
    let Some(federation) = &service.federation else {
        return false;
    };
    matches!(federation.topology.as_str(), "star" | "mesh")
        && !federation.members.is_empty()
        && !is_worker(service)
}

/// Why a definition cannot be federated, if it cannot.
pub(crate) fn problem(service: &Service) -> Option<String> {
    let federation = service.federation.as_ref()?;
    if federation.members.len() > MEMBERS {
        return Some(format!(
            "federation.members: {} are too many; at most {MEMBERS} can be",
            federation.members.len()
        ));
    }
    let has_token = service.environment.secrets.contains_key(REFRESH_TOKEN);
    (coordinates(service) && !has_token)
        .then(|| "refresh_token secret is required for federated services".to_owned())
}

/// What came of talking to the members: a sentence for each with whom it did not go well.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) failed: Vec<String>,
    /// Members whose clusters are not defined: those cannot even be tried.
    missing: Vec<String>,
}

impl Told {
    pub(crate) fn all(self) -> Vec<String> {
        [self.failed, self.missing].concat()
    }
}

/// Asks all members whether they take the caller's credentials; the sentences of those that do not.
pub(crate) async fn refused(service: &Service, caller: &Credentials) -> Vec<String> {
    let visit = |remote: Remote, member: String| -> Visit<'_> {
        async move {
            match remote.find(&member).await {
                Err(RemoteError::Refused { status, .. }) if matches!(status, 401 | 403) => {
                    Some(format!("{}: {status}", remote.id))
                }
                _ => None,
            }
        }
        .boxed()
    };
    each(service, caller, visit).await.failed
}

/// Brings every member's copy up to date.
pub(crate) async fn spread(
    service: &Service,
    refresh_token: Option<&str>,
    caller: &Credentials,
) -> Told {
    let visit = |remote: Remote, member: String| -> Visit<'_> {
        async move {
            let copy = workers::copy(service, &remote.id, &member, refresh_token)?;
            let sent = match remote.find(&member).await {
                Ok(Answer::Missing) => remote.create(&copy).await,
                Ok(Answer::Found(found)) if workers::is_ours(&found, service) => {
                    remote.update(&copy).await
                }
                Ok(Answer::Found(_)) => {
                    let text = "a service of that name is there that is no copy of this one";
                    return Some(format!("{}: {member}: {text}", remote.id));
                }
                Err(error) => Err(error),
            };
            sent.err().map(|error| format!("{}: {error}", remote.id))
        }
        .boxed()
    };
    each(service, caller, visit).await
}

/// Deletes the copies of the members that `service` names.
pub(crate) async fn withdraw(service: &Service, caller: &Credentials) -> Told {
    let visit = |remote: Remote, member: String| -> Visit<'_> {
        async move {
            let deleted = match remote.find(&member).await {
                Ok(Answer::Found(found)) if workers::is_ours(&found, service) => {
                    remote.delete(&member).await
                }
                Ok(_) => Ok(()), // Gone, or somebody else's.
                Err(error) => Err(error),
            };
            deleted.err().map(|error| format!("{}: {error}", remote.id))
        }
        .boxed()
    };
    each(service, caller, visit).await
}

/// What is done with one member; a sentence if it did not go well.
type Visit<'a> = BoxFuture<'a, Option<String>>;

/// Does something with each member that is an OSCAR cluster, a few at a time.
async fn each<'a>(
    service: &'a Service,
    caller: &Credentials,
    visit: impl Fn(Remote, String) -> Visit<'a>,
) -> Told {
    let members = service.federation.iter().flat_map(|it| &it.members);
    let (mut remotes, mut told) = (Vec::new(), Told::default());
    for member in members.filter(|member| member.kind.eq_ignore_ascii_case("oscar")) {
        let id = &member.cluster_id;
        match service.clusters.get(id) {
            None => told
                .missing
                .push(format!("{id}: it is not defined under clusters")),
            Some(cluster) => match Remote::new(id, cluster, caller) {
                Ok(remote) => remotes.push((remote, member.service_name.clone())),
                Err(error) => told.failed.push(format!("{id}: {error}")),
            },
        }
    }
    let visits: Vec<Visit<'a>> = remotes
        .into_iter()
        .map(|(remote, member)| visit(remote, member))
        .collect();
    let visits = futures::stream::iter(visits).buffered(AT_ONCE);
    let failed: Vec<Option<String>> = visits.collect().await;
    told.failed.extend(failed.into_iter().flatten());
    told
}
