//go:build unix

package main

import "encoding/binary"

// forwarder returns a DLL for amd64 that exports a function as a forwarder to that of another
// DLL, such as "advapi32.SystemFunction036". It has no code: one section holds the export
// directory (PE/COFF § 6.3), and the address of the function points to the name in it.
func forwarder(dll, function, target string) []byte {
	const (
		alignment = 0x200  // of what is in the file
		section   = 0x1000 // where the section is in memory
	)
	u16, u32, u64 := binary.LittleEndian.AppendUint16, binary.LittleEndian.AppendUint32, binary.LittleEndian.AppendUint64

	const directory, functions, names, ordinals, text = 0, 40, 44, 48, 50
	dllAt := section + text
	functionAt := dllAt + len(dll) + 1
	targetAt := functionAt + len(function) + 1
	var exports []byte
	exports = append(exports, make([]byte, 12)...) // characteristics, time, version
	exports = u32(exports, uint32(dllAt))
	exports = u32(exports, 1) // the first ordinal
	exports = u32(exports, 1) // functions
	exports = u32(exports, 1) // names
	exports = u32(exports, section+functions)
	exports = u32(exports, section+names)
	exports = u32(exports, section+ordinals)
	exports = u32(exports, uint32(targetAt))
	exports = u32(exports, uint32(functionAt))
	exports = u16(exports, 0)
	exports = append(exports, dll+"\x00"+function+"\x00"+target+"\x00"...)

	b := make([]byte, 60, 2*alignment)
	copy(b, "MZ")
	b = u32(b, 64) // where the PE header is
	b = append(b, "PE\x00\x00"...)
	b = u16(b, 0x8664)                 // amd64
	b = u16(b, 1)                      // sections
	b = append(b, make([]byte, 12)...) // time, symbols
	b = u16(b, 240)                    // size of the optional header
	b = u16(b, 0x2022)                 // a DLL, executable, aware of large addresses

	b = u16(b, 0x20b)                  // PE32+
	b = append(b, make([]byte, 22)...) // linker, sizes of code and data, entry point, base of code
	b = u64(b, 0x180000000)            // image base
	b = u32(b, section)                // alignment in memory
	b = u32(b, alignment)              // and in the file
	for range 3 {                      // versions of the system, the image and the subsystem
		b = u32(b, 6)
	}
	b = u32(b, 0)
	b = u32(b, 2*section)              // size of the image
	b = u32(b, alignment)              // and of its headers
	b = u32(b, 0)                      // checksum
	b = u16(b, 3)                      // console
	b = u16(b, 0x100)                  // no executable data
	b = append(b, make([]byte, 36)...) // stack, heap, loader flags
	b = u32(b, 16)                     // data directories
	b = u32(b, section+directory)      // that of the exports
	b = u32(b, uint32(len(exports)))
	b = append(b, make([]byte, 15*8)...)

	b = append(b, ".rdata\x00\x00"...)
	b = u32(b, uint32(len(exports)))
	b = u32(b, section)
	b = u32(b, alignment)
	b = u32(b, alignment)
	b = append(b, make([]byte, 12)...) // relocations and line numbers
	b = u32(b, 0x40000040)             // data, readable

	b = append(b, make([]byte, alignment-len(b))...)
	b = append(b, exports...)
	return append(b, make([]byte, 2*alignment-len(b))...)
}
