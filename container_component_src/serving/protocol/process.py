"""What a server process and the backend that starts it must agree on."""

GRACE_PERIOD = 30  # seconds that a server has to finish its requests when it is told to stop
SMOKE_TEST_ID = "smoke-test-"  # start of the id of a request that tests a new service, and is not logged
GRPC_PORT = 8081  # beside the default HTTP port; beside another one, there is no default
