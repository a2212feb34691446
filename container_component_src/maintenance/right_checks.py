"""Checks of the steps' rights on a cluster."""

from contextlib import suppress

from kubernetes import client

from container_component_src.cluster.access import Cluster, ForbiddenError, NotFoundError
from container_component_src.cluster.rights import RIGHTS, TRAINING_KINDS, Right
from container_component_src.errors import StepError
from container_component_src.maintenance.checks import Check, failed_check

_ACCOUNT = "system:serviceaccount:"  # prefix of the user names of service accounts


def own_user(cluster: Cluster) -> str:
    """Return the user name of the current credentials; empty if the API does not tell."""
    ask = client.AuthenticationV1Api(cluster.api_client).create_self_subject_review
    try:
        answer = cluster.request(ask, "ask for", "the current user", client.V1SelfSubjectReview())
    except StepError:  # not available before Kubernetes 1.28
        return ""
    return str(answer.status.user_info.username)


def own_account(cluster: Cluster) -> str:
    """Return the service account of the namespace that the current credentials belong to; empty if there is none."""
    prefix = f"{_ACCOUNT}{cluster.namespace}:"
    user = own_user(cluster)
    return user.removeprefix(prefix) if user.startswith(prefix) else ""


def check_rights(cluster: Cluster, service_account: str) -> list[Check]:
    """Check the rights of a service account, or of the current credentials if the account is empty."""
    user = own_user(cluster)
    if user == f"{_ACCOUNT}{cluster.namespace}:{service_account}":
        service_account = ""  # everybody may ask for their own rights
    who = f"service account {service_account}" if service_account else _described(user)
    try:
        if service_account:
            with suppress(ForbiddenError):  # the next requests do not need this right
                read = cluster.core.read_namespaced_service_account
                cluster.request(read, "read", who, service_account, cluster.namespace)
        rights = [_check_right(cluster, service_account, who, right) for right in RIGHTS if _is_of_use(cluster, right)]
        return [Check("account", True, who), *rights]
    except NotFoundError:
        return [Check("rights", False, f"there is no {who}", "name the steps' account with --service-account")]
    except ForbiddenError:
        fix = "run doctor in a pod of that account, or with credentials that may create localsubjectaccessreviews"
        return [Check("rights", False, f"{_described(user)} may not query the rights of {who}", fix, required=False)]
    except StepError as error:
        return [failed_check("rights", error)]


def is_allowed(cluster: Cluster, right: Right, verb: str, service_account: str = "") -> bool:
    """Return whether a service account, or the current credentials if the account is empty, have a right.

    Raises:
        StepError: The API does not tell.
    """
    resource, _, subresource = right.resource.partition("/")
    attributes = client.V1ResourceAttributes(
        namespace=cluster.namespace, group=right.group, resource=resource, subresource=subresource, verb=verb
    )
    api = client.AuthorizationV1Api(cluster.api_client)
    if not service_account:
        spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        own = client.V1SelfSubjectAccessReview(spec=spec)
        answer = cluster.request(api.create_self_subject_access_review, "ask for", "own rights", own)
    else:
        # A local review, because an administrator of the namespace may create it without rights to the whole cluster.
        review = client.V1LocalSubjectAccessReview(
            metadata=client.V1ObjectMeta(namespace=cluster.namespace),
            spec=client.V1SubjectAccessReviewSpec(
                user=f"{_ACCOUNT}{cluster.namespace}:{service_account}",
                groups=[
                    "system:serviceaccounts",
                    f"system:serviceaccounts:{cluster.namespace}",
                    "system:authenticated",
                ],
                resource_attributes=attributes,
            ),
        )
        call = api.create_namespaced_local_subject_access_review
        answer = cluster.request(call, "ask for", "rights", cluster.namespace, review)
    return bool(answer.status.allowed)


def _is_of_use(cluster: Cluster, right: Right) -> bool:
    """Return whether the cluster knows the resource, if it need not: one kind of job that trains is enough."""
    return all(
        cluster.serves(kind) for kind in TRAINING_KINDS if (kind.group, kind.plural) == (right.group, right.resource)
    )


def _described(user: str) -> str:
    if user.startswith(_ACCOUNT):
        namespace, _, name = user.removeprefix(_ACCOUNT).partition(":")
        return f"service account {name} of namespace {namespace}"
    return f"user {user}" if user else "these credentials"


def _check_right(cluster: Cluster, service_account: str, who: str, right: Right) -> Check:
    missing = [verb for verb in right.verbs if not is_allowed(cluster, right, verb, service_account)]
    detail = f"{who} may not {', '.join(missing)}" if missing else ", ".join(right.verbs)
    fix = "apply deploy/rbac.yaml, with the steps' account among its subjects"
    return Check(f"right to {'.'.join(filter(None, (right.resource, right.group)))}", not missing, detail, fix)
