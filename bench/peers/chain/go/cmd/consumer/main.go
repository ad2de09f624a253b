// Kafka consumer: applies each sale to Valkey, one command after the other.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"

	"github.com/IBM/sarama"
	"github.com/redis/go-redis/v9"

	"chain/sale"
)

const (
	group         = "chain"
	historyLength = 500
)

func main() {
	options, err := redis.ParseURL(os.Getenv("VALKEY_URL"))
	if err != nil {
		log.Fatal(err)
	}
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	consumer, err := sarama.NewConsumerGroup(strings.Split(os.Getenv("KAFKA_BROKERS"), ","), group, config)
	if err != nil {
		log.Fatal(err)
	}
	handler := &counter{store: redis.NewClient(options)}
	// Consume returns whenever partitions are assigned anew.
	for {
		if err := consumer.Consume(context.Background(), []string{os.Getenv("TOPIC")}, handler); err != nil {
			log.Fatal(err)
		}
	}
}

type counter struct {
	store *redis.Client
	// Held from reading an extreme to writing it: each partition has a goroutine of its own.
	extremes sync.Mutex
}

func (c *counter) Setup(sarama.ConsumerGroupSession) error { return nil }

func (c *counter) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c *counter) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		var one sale.Sale
		if err := json.Unmarshal(message.Value, &one); err != nil {
			log.Printf("left out: partition %d, offset %d: %v", message.Partition, message.Offset, err)
		} else if err := c.apply(context.Background(), message, one); err != nil {
			log.Fatal(err)
		}
		session.MarkMessage(message, "")
	}
	return nil
}

func (c *counter) apply(ctx context.Context, message *sarama.ConsumerMessage, one sale.Sale) error {
	units, now := float64(one.Quantity), message.Timestamp.UnixMilli()
	history := "historial:precio:" + one.Category
	price := fmt.Sprintf("%d:%d-%d:%.2f", now, message.Partition, message.Offset, one.Price)
	return errors.Join(
		c.applyExtremes(ctx, one.Price),
		c.store.Incr(ctx, "reportes:total:"+one.Category).Err(),
		c.store.ZIncrBy(ctx, "ranking:global", units, one.ProductID).Err(),
		c.store.ZIncrBy(ctx, "ranking:"+one.Category, units, one.ProductID).Err(),
		c.store.HIncrByFloat(ctx, "stats:precio:suma", one.Category, one.Price).Err(),
		c.store.HIncrBy(ctx, "stats:cantidad:suma", one.Category, int64(one.Quantity)).Err(),
		c.store.ZAdd(ctx, history, redis.Z{Score: float64(now), Member: price}).Err(),
		c.store.ZRemRangeByRank(ctx, history, 0, -historyLength-1).Err(),
	)
}

func (c *counter) applyExtremes(ctx context.Context, price float64) error {
	c.extremes.Lock()
	defer c.extremes.Unlock()
	return errors.Join(
		c.applyExtreme(ctx, "ventas:global:precio_max", price, func(stored float64) bool { return price > stored }),
		c.applyExtreme(ctx, "ventas:global:precio_min", price, func(stored float64) bool { return price < stored }),
	)
}

func (c *counter) applyExtreme(ctx context.Context, key string, price float64, isBeyond func(float64) bool) error {
	stored, err := c.store.Get(ctx, key).Float64()
	switch {
	case errors.Is(err, redis.Nil) || err == nil && isBeyond(stored):
		return c.store.Set(ctx, key, fmt.Sprintf("%.2f", price), 0).Err()
	default:
		return err
	}
}
