package relay

// SpliceMin is from how many bytes on, at once, output or a body is moved between pipe
// and socket and not copied.
const SpliceMin = 16 << 10
