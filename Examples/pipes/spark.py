"""Predicts for each image that a list names, each partition of it by a process of canon.

usage: spark.py CANON MODEL NAMES, with PySpark (on PyPI) and Java
"""
import sys

from pyspark.sql import SparkSession

canon, model, names = sys.argv[1:]
spark = SparkSession.builder.master("local[2]").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
# Status 2: some files could not be read, which their lines say.
command = f"sh -c '{canon} predict {model} - --json --quiet --threads 1 || [ $? = 2 ]'"
rows = spark.read.json(spark.sparkContext.textFile(names, 8).pipe(command)).cache()
rows.groupBy("class").count().orderBy("class").show()
print("rows", rows.count(), "unreadable", rows.filter("error is not null").count())
