// Package machine runs a Debian with a systemd of its own, for tests of units and packages:
// a fresh root directory, with systemd as process 1 of its own namespaces. No network leads
// out of it, and it ends with the test.
//
// It needs root and mmdebstrap, and a minute to make the first root of a run. So its tests
// run in "make deb-test" alone, which names a directory for this run in GATEHOUSE_MACHINE.
package machine
