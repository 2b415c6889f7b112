// The entry point of every Boost.Test program of the project; each folder adds its *_test.cc files
// to it.
#define BOOST_TEST_MODULE quorumlab
#include <boost/test/unit_test.hpp>
