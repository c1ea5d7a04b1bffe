package cgi

import "io"

// blockBytes is the block size of wsgiref's FileWrapper.
const blockBytes = 8192

// maxEmptyReads is how often in a row a Reader may return neither bytes nor an
// error.
const maxEmptyReads = 100

// A File is a response body that is read from R in blocks: wsgiref's FileWrapper.
// It is not safe for concurrent use.
type File struct {
	// R is what the body is read from. If nil, the body is empty.
	R io.Reader
	// BlockSize is the length in bytes of the longest block; if zero or less, 8192.
	BlockSize int

	block []byte
	err   error // that R returned together with bytes
}

// Next returns the next block, which is what one Read of R returned, so that a slow
// source is not waited for. It is never empty and valid until the next call.
//
// At the end of R the error is io.EOF, and R stays open. A later Next reads again: a
// file may have grown.
func (f *File) Next() ([]byte, error) {
	if err := f.consumeError(); err != nil {
		return nil, err
	}
	if f.R == nil {
		return nil, io.EOF
	}
	size := f.BlockSize
	if size <= 0 {
		size = blockBytes
	}
	if len(f.block) != size {
		f.block = make([]byte, size)
	}
	for range maxEmptyReads {
		n, err := f.R.Read(f.block)
		if n > 0 {
			f.err = err
			return f.block[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, io.ErrNoProgress
}

func (f *File) consumeError() error {
	err := f.err
	f.err = nil
	return err
}

// Len returns -1: the number of blocks is not known, and so no Content-Length is
// made from it.
func (f *File) Len() int { return -1 }

// Close closes R if it is an io.Closer, each time it is called.
func (f *File) Close() error {
	if c, ok := f.R.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// WriteTo writes the rest of R to w. Unlike Next it uses io.Copy, so that a file may go to a
// socket without passing through this process.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	switch err := f.consumeError(); {
	case err == io.EOF || f.R == nil:
		return 0, nil
	case err != nil:
		return 0, err
	}
	return io.Copy(w, f.R)
}
