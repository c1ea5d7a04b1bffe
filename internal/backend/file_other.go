//go:build unix && !linux

package backend

// pathOnly is the flag of a descriptor that cannot be read: there is none here.
const pathOnly = 0
