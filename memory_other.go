//go:build !linux

package gatehouse

// residentMemory and memoryLimit return 0: this system is not asked.
func residentMemory() int64 { return 0 }

func memoryLimit() int64 { return 0 }
