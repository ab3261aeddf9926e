//! Services.

use std::time::Duration;

use reqwest::Method;
use spillway_model::service::Service;

use super::error::ClientError;
use super::http::{Client, PLAIN, segment};

impl Client {
    /// All services.
    pub(crate) async fn services(&self) -> Result<Vec<Service>, ClientError> {
        self.get_json("services", "/system/services").await
    }

    /// One service.
    pub(crate) async fn service(&self, name: &str) -> Result<Service, ClientError> {
        let path = format!("/system/services/{}", segment(name));
        self.json(
            &format!("the service {name:?}"),
            self.request(Method::GET, &path),
        )
        .await
    }

    /// One service, if it exists.
    pub(crate) async fn find_service(&self, name: &str) -> Result<Option<Service>, ClientError> {
        match self.service(name).await {
            Ok(service) => Ok(Some(service)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a service.
    pub(crate) async fn create_service(
        &self,
        service: &Service,
        limit: Duration,
    ) -> Result<(), ClientError> {
        let what = format!("creating the service {:?}", service.name);
        self.send_json(&what, Method::POST, "/system/services", service, limit)
            .await
    }

    /// Replaces a service.
    pub(crate) async fn update_service(
        &self,
        service: &Service,
        limit: Duration,
    ) -> Result<(), ClientError> {
        let what = format!("updating the service {:?}", service.name);
        self.send_json(&what, Method::PUT, "/system/services", service, limit)
            .await
    }

    /// Deletes a service with its buckets.
    pub(crate) async fn delete_service(&self, name: &str) -> Result<(), ClientError> {
        let request = self.request(
            Method::DELETE,
            &format!("/system/services/{}", segment(name)),
        );
        self.send(
            &format!("deleting the service {name:?}"),
            request,
            Some(PLAIN),
        )
        .await
        .map(drop)
    }
}
