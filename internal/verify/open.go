package verify

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// openStream opens a file, "-" for stdin, and unpacks it if its first bytes say that it is
// compressed: a file's name proves nothing.
func openStream(path string, stdin io.Reader) (io.ReadCloser, error) {
	if path == "-" {
		return unpack(io.NopCloser(stdin))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		f.Close()
		return nil, fmt.Errorf("open %s: is a directory", path)
	}
	r, err := unpack(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return r, nil
}

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

type stream struct {
	io.Reader
	close func() error
}

func (s stream) Close() error { return s.close() }

func unpack(f io.ReadCloser) (io.ReadCloser, error) {
	var magic [4]byte
	n, err := io.ReadFull(f, magic[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	whole := io.MultiReader(bytes.NewReader(magic[:n]), f)
	switch {
	case bytes.HasPrefix(magic[:n], gzipMagic):
		z, err := gzip.NewReader(bufio.NewReaderSize(whole, 64<<10))
		if err != nil {
			return nil, err
		}
		return stream{z, f.Close}, nil
	case bytes.HasPrefix(magic[:n], zstdMagic):
		z, err := zstd.NewReader(whole, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return stream{z, func() error { z.Close(); return f.Close() }}, nil
	}
	return stream{whole, f.Close}, nil
}
