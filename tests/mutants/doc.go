// Package mutants breaks the protocol on purpose, one rule at a time, and sees each broken version caught. It answers
// the question that a green test suite leaves open: would it be red if the product were wrong?
//
//	go test ./tests/mutants/                          all of them
//	go test ./tests/mutants/ -run TestMutants/ack     those whose name has "ack"
//
// A mutant is a piece of the source replaced by another. The compiler is given the changed file in place of the real one
// (go test -overlay), so that nothing of this is in the product, not even behind a build tag. If the piece is not there any
// more, or is there twice, the mutant fails: it must be brought up to date with the code.
package mutants
