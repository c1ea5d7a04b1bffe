// Package monitoring has the tests of what a gateway shows of itself: of the live page, in a
// browser, and of the metrics, with Prometheus and the files in deploy/prometheus.
package monitoring
