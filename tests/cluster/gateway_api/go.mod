// Whose CRDs the tests install: config/crd of this module.
module fairtrial.dev/tests/cluster/gateway_api

go 1.24.0

require sigs.k8s.io/gateway-api v1.4.0
