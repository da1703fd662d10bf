"""JupyterHub's authenticator for an OpenID Connect provider."""

from __future__ import annotations

from typing import Any

from oauthenticator.generic import GenericOAuthenticator
from tornado import web
from traitlets import Bool
from traitlets.config import Config

from cerro_hub.errors import ProviderError
from cerro_hub.settings import Oidc


class OidcAuthenticator(GenericOAuthenticator):
    """GenericOAuthenticator that can insist on a verified e-mail address."""

    require_email_verified = Bool(
        True, config=True, help="Refuse a person whose e-mail address is not verified."
    )

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Let in whom the settings allow.

        Raises
        ------
        tornado.web.HTTPError
            403: the provider has not verified the person's e-mail address (CVE-2026-33175: an
            unverified address may be somebody else's).
        """
        if auth_model is not None and self.require_email_verified:
            claims = auth_model["auth_state"][self.user_auth_state_key]
            if claims.get("email_verified") is not True:
                raise web.HTTPError(
                    403, "Your e-mail address is not verified. Verify it there, then sign in again."
                )
        allowed = await super().check_allowed(username, auth_model)
        return bool(allowed)


def configure(c: Config, oidc: Oidc, endpoints: dict[str, str], address: str) -> None:
    """Configure JupyterHub for the provider.

    Parameters
    ----------
    c : traitlets.config.Config
        JupyterHub's configuration.
    oidc : Oidc
        The provider.
    endpoints : dict
        Its ``authorization_endpoint``, ``token_endpoint`` and ``userinfo_endpoint``.
    address : str
        The platform's external address.
    """
    c.JupyterHub.authenticator_class = OidcAuthenticator
    o = c.OidcAuthenticator
    o.client_id = oidc.client_id
    o.client_secret = oidc.client_secret.get_secret_value()
    o.oauth_callback_url = f"{address}hub/oauth_callback"
    o.authorize_url = str(oidc.authorize_url or endpoints["authorization_endpoint"])
    o.token_url = str(oidc.token_url or endpoints["token_endpoint"])
    o.userdata_url = str(oidc.userinfo_url or endpoints["userinfo_endpoint"])
    o.login_service = oidc.name
    o.scope = oidc.scopes
    o.username_claim = oidc.username_claim
    o.auth_state_groups_key = f"oauth_user.{oidc.groups_claim}"
    o.manage_groups = True
    o.allow_all = oidc.allow_all
    o.allowed_groups = set(oidc.allowed_groups)
    o.allowed_users = set(oidc.allowed_users)
    o.admin_groups = set(oidc.admin_groups)
    # Who was let in once is asked again at each login, not for ever after.
    o.allow_existing_users = False
    o.require_email_verified = oidc.require_email_verified
    o.enable_pkce = True


def discover(oidc: Oidc) -> dict[str, str]:
    """Return the provider's endpoints from its discovery document (OpenID Connect Discovery §4).

    Raises
    ------
    ProviderError
        The document is not there or is another issuer's.
    """
    import httpx

    if oidc.authorize_url and oidc.token_url and oidc.userinfo_url:
        return {}
    issuer = str(oidc.issuer).rstrip("/")
    try:
        response = httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=10)
        response.raise_for_status()
        document: dict[str, str] = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ProviderError(
            f"The login provider {issuer} does not answer: {error}. Check hub.oidc.issuer."
        ) from error
    if str(document.get("issuer", "")).rstrip("/") != issuer:
        raise ProviderError(f"{issuer} describes another issuer, {document.get('issuer')}.")
    return document
