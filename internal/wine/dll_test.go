//go:build unix

package main

import (
	"bytes"
	"debug/pe"
	"testing"
)

func TestForwarder(t *testing.T) {
	f, err := pe.NewFile(bytes.NewReader(forwarder("a.dll", "Function", "b.Other")))
	if err != nil {
		t.Fatal(err)
	}
	h, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok || f.Machine != pe.IMAGE_FILE_MACHINE_AMD64 || f.Characteristics&pe.IMAGE_FILE_DLL == 0 || len(f.Sections) != 1 {
		t.Fatalf("%+v, %d sections", f.FileHeader, len(f.Sections))
	}
	s, exports := f.Sections[0], h.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT]
	data, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	if exports.VirtualAddress != s.VirtualAddress || !bytes.Contains(data[:exports.Size], []byte("a.dll\x00Function\x00b.Other\x00")) {
		t.Errorf("exports at %#x, %d bytes: %q", exports.VirtualAddress, exports.Size, data)
	}
	// A function whose address is within the directory is a forwarder.
	if at := uint32(data[40]) | uint32(data[41])<<8; at < exports.VirtualAddress || at >= exports.VirtualAddress+exports.Size {
		t.Errorf("the function is at %#x", at)
	}
}
