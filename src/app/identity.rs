//! Who Holdfast is to the API server.
//!
//! Admission recognises Holdfast's own writes by its service account, and by nothing else: the registered webhooks leave that
//! account out, and everybody else is guarded. A process that writes as somebody else would be refused by its own webhook. In
//! a pod the identity is given; outside, with an administrator's kubeconfig, the account is impersonated.

use anyhow::Context as _;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, Client, api::PostParams};

/// Settings with which requests are made as the service account `namespace`/`name`, and the user who then impersonates it.
pub(super) async fn acting_as(
    settings: kube::Config,
    (namespace, name): &(String, String),
) -> anyhow::Result<(kube::Config, Option<String>)> {
    let wanted = format!("system:serviceaccount:{namespace}:{name}");
    let user = whoami(settings.clone()).await?;
    if user == wanted {
        return Ok((settings, None));
    }
    let impersonating = impersonating(settings, namespace, &wanted);
    whoami(impersonating.clone()).await.with_context(|| {
        format!("{user} may not act as {wanted}, by which admission recognises Holdfast; use that account's token")
    })?;
    Ok((impersonating, Some(user)))
}

async fn whoami(settings: kube::Config) -> anyhow::Result<String> {
    let client = Client::try_from(settings).context("failed to make a client from the kubeconfig")?;
    let reviews: Api<SelfSubjectReview> = Api::all(client);
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let review = review.context("failed to ask the API server who this is")?;
    let user = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
    Ok(user.unwrap_or_default())
}

/// An impersonated account has the groups that are named, and no others: these are those of every service account.
fn impersonating(mut settings: kube::Config, namespace: &str, user: &str) -> kube::Config {
    let own = format!("system:serviceaccounts:{namespace}");
    let groups = vec!["system:serviceaccounts".to_owned(), own, "system:authenticated".to_owned()];
    settings.auth_info.impersonate = Some(user.to_owned());
    settings.auth_info.impersonate_groups = Some(groups);
    settings
}
