// Writes requests and responses of every version as franz-go's kmsg encodes them, for wire/kafka/testdata/.
//
//	cd scripts/golden_kmsg && go run . > ../../wire/kafka/testdata/kmsg.txt
//
// kmsg is a codec that shares nothing with ours, and it speaks the flexible versions, which no client in
// Debian does for most APIs. Fields are filled with numbers from a fixed seed; those that a version does not
// carry are left out by kmsg.
package main

import (
	"fmt"
	"math/rand"
	"reflect"
	"runtime/debug"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The versions that our codec speaks, by api key.
var versions = []struct{ key, min, max int16 }{
	{0, 3, 11}, {1, 4, 17}, {2, 1, 9}, {3, 0, 12}, {10, 0, 4}, {18, 0, 4}, {19, 2, 7}, {20, 1, 6},
	{21, 0, 2}, {22, 0, 4}, {23, 2, 4}, {60, 0, 1}, {32, 1, 4}, {33, 0, 2}, {37, 0, 3}, {43, 0, 2}, {44, 0, 1},
	{45, 0, 0}, {46, 0, 0}, {4, 7, 7}, {5, 4, 4}, {6, 8, 8}, {7, 3, 3},
}

// Tagged fields come with a version too, but kmsg writes them into every flexible one. By path: the version
// from which a field may be filled.
var tagsSince = map[string]int16{
	"ProduceResponseTopicPartition.CurrentLeader": 10, "ProduceResponse.Brokers": 10,
	"FetchRequest.ReplicaState": 15, "FetchRequestTopicPartition.ReplicaDirectoryID": 17,
	"FetchRequestTopicPartition.HighWatermark": 18, "FetchResponse.Brokers": 16,
}

const lineHexDigits = 96

func fill(value reflect.Value, random *rand.Rand, version int16) {
	switch value.Kind() {
	case reflect.Struct:
		if message, ok := value.Addr().Interface().(interface{ Default() }); ok {
			message.Default()
		}
		for i := 0; i < value.NumField(); i++ {
			name := value.Type().Field(i).Name
			path := value.Type().Name() + "." + name
			if name != "Version" && name != "UnknownTags" && version >= tagsSince[path] {
				fill(value.Field(i), random, version)
			}
		}
	case reflect.Slice:
		count := 1 + random.Intn(2)
		value.Set(reflect.MakeSlice(value.Type(), count, count))
		fallthrough // Filled like an array.
	case reflect.Array:
		for i := 0; i < value.Len(); i++ {
			fill(value.Index(i), random, version)
		}
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(value.Elem(), random, version)
	case reflect.String:
		value.SetString(fmt.Sprintf("s%d", random.Intn(1000)))
	case reflect.Bool:
		value.SetBool(random.Intn(2) == 0)
	case reflect.Uint8:
		value.SetUint(uint64(random.Intn(256)))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		value.SetInt(int64(int8(random.Uint32())))
	default:
		panic(value.Kind())
	}
}

func write(what, comment string, bytes []byte) {
	fmt.Printf("\n# %s\n%s\n", comment, what)
	text := fmt.Sprintf("%x", bytes)
	for ; len(text) > lineHexDigits; text = text[lineHexDigits:] {
		fmt.Println(text[:lineHexDigits])
	}
	if text != "" {
		fmt.Println(text)
	}
	fmt.Println("end")
}

func kmsgVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go/pkg/kmsg" {
			return module.Version
		}
	}
	return "?"
}

func main() {
	fmt.Printf("# Frames and messages of franz-go's kmsg %s, written by scripts/golden_kmsg.\n", kmsgVersion())
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("golden"))
	for _, api := range versions {
		for version := api.min; version <= api.max; version++ {
			random := rand.New(rand.NewSource(int64(api.key)*100 + int64(version)))
			request := kmsg.RequestForKey(api.key)
			fill(reflect.ValueOf(request).Elem(), random, version)
			request.SetVersion(version)
			title := fmt.Sprintf("%s version %d", kmsg.NameForKey(api.key), version)
			write("request", title+", request", formatter.AppendRequest(nil, request, 7))
			response := request.ResponseKind()
			fill(reflect.ValueOf(response).Elem(), random, version)
			response.SetVersion(version)
			write(fmt.Sprintf("response %d %d", api.key, version), title+", response", response.AppendTo(nil))
		}
	}
}
